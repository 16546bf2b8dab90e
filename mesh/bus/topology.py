"""Declares the streams, the workers' bucket and the consumers, idempotently."""

from msgspec import Struct

from mesh.bus.api import ApiError
from mesh.bus.jetstream import JetStream
from mesh.bus.versions import refuse_other_protocol
from mesh.protocol import subjects
from mesh.settings import Limits

NANOSECONDS = 1_000_000_000
PRESENCE_TTL = 10.0
"""Seconds after which a worker that says nothing is no longer present."""

DLQ_AGE = 30 * 86_400.0
DLQ_BYTES = 256 << 20
"""How long dead letters are kept, in seconds, and how many bytes of them."""

LEASE_TTL = 10.0
"""Seconds after which a lease that was not renewed is anybody's."""

NAME_IN_USE = 10058


class _Republish(Struct):
    src: str
    dest: str


class _Stream(Struct, omit_defaults=True):
    """A stream's configuration, in the words of JetStream's API."""

    name: str
    subjects: list[str]
    retention: str
    storage: str
    num_replicas: int
    discard: str = "old"
    max_age: int = 0
    max_msgs: int = -1
    max_bytes: int = -1
    max_msgs_per_subject: int = -1
    discard_new_per_subject: bool = False
    duplicate_window: int = 0
    allow_direct: bool = False
    allow_rollup_hdrs: bool = False
    republish: _Republish | None = None


class _Consumer(Struct):
    durable_name: str
    name: str
    filter_subject: str
    ack_policy: str
    ack_wait: int
    max_deliver: int
    max_ack_pending: int


class _CreateConsumer(Struct):
    stream_name: str
    config: _Consumer


class _Answer(Struct):
    pass


async def declare(js: JetStream, limits: Limits) -> None:
    """Create the streams and buckets, or bring their limits up to the settings.

    Raises MeshError (protocol_version) where they are of another version's.
    """
    await refuse_other_protocol(js, "gateway")
    for stream in streams(limits):
        try:
            await js.api(f"STREAM.CREATE.{stream.name}", stream, _Answer)
        except ApiError as error:
            if error.code != NAME_IN_USE:
                raise
            await js.api(f"STREAM.UPDATE.{stream.name}", stream, _Answer)


def streams(limits: Limits) -> tuple[_Stream, ...]:
    """Every stream and bucket of a mesh."""
    return (
        _req(limits),
        run_stream(limits),
        _dlq(limits),
        _workers(limits),
        _leases(limits),
        _accounts(limits),
    )


async def declare_model(js: JetStream, model: str, ack_wait: float) -> None:
    """Create the consumers that hand out a model's prompts: of each lane, and of the one line.

    Each hands out its oldest first. They never give up on an item by counting deliveries: past
    `max_deliver` an item would stay in the queue with nobody told. ack_wait in seconds.
    """
    # One by one: all at once a busy broker would have the time of one for all of them.
    for lane in ("", *subjects.ALL_LANES):
        await _declare_consumer(js, subjects.consumer(model, lane), ack_wait)


async def _declare_consumer(js: JetStream, name: str, ack_wait: float) -> None:
    consumer = _Consumer(
        durable_name=name,
        name=name,
        filter_subject=subjects.handed_out_by(name),
        ack_policy="explicit",
        ack_wait=int(ack_wait * NANOSECONDS),
        max_deliver=-1,
        max_ack_pending=100_000,
    )
    body = _CreateConsumer(stream_name=subjects.REQ_STREAM, config=consumer)
    verb = f"CONSUMER.CREATE.{subjects.REQ_STREAM}.{name}.{consumer.filter_subject}"
    await js.api(verb, body, _Answer)


def _req(limits: Limits) -> _Stream:
    return _Stream(
        name=subjects.REQ_STREAM,
        subjects=[subjects.REQ_ALL],
        retention="workqueue",
        storage="file",
        num_replicas=limits.replicas,
        discard="new",
        max_msgs=limits.req_max_msgs,
        max_bytes=limits.req_max_bytes,
        max_msgs_per_subject=limits.req_max_per_tenant,
        discard_new_per_subject=True,
        duplicate_window=120 * NANOSECONDS,
    )


def run_stream(limits: Limits) -> _Stream:
    """The log's configuration under these limits."""
    return _Stream(
        name=subjects.RUN_STREAM,
        subjects=[subjects.RUN_ALL],
        retention="limits",
        storage="file",
        num_replicas=limits.replicas,
        max_age=int(limits.run_max_age * NANOSECONDS),
        max_bytes=limits.run_max_bytes,
        duplicate_window=1 * NANOSECONDS,
        allow_direct=True,
        republish=_Republish(src=subjects.RUN_ALL, dest=subjects.LIVE_ALL),
    )


def _dlq(limits: Limits) -> _Stream:
    return _Stream(
        name=subjects.DLQ_STREAM,
        subjects=[subjects.DLQ_ALL],
        retention="limits",
        storage="file",
        num_replicas=limits.replicas,
        max_age=int(DLQ_AGE * NANOSECONDS),
        max_bytes=DLQ_BYTES,
        max_msgs_per_subject=1,
        duplicate_window=1 * NANOSECONDS,
        allow_direct=True,
    )


def _workers(limits: Limits) -> _Stream:
    return _bucket(subjects.WORKERS_STREAM, subjects.PRESENCE_ALL, PRESENCE_TTL, limits, "memory")


def _leases(limits: Limits) -> _Stream:
    # On disk: what is forgotten with a restart begins to count anew, and an old holder's number
    # would be a new one's.
    return _bucket(subjects.LEASES_STREAM, subjects.LEASES_ALL, LEASE_TTL, limits, "file")


def _accounts(limits: Limits) -> _Stream:
    return _bucket(subjects.ACCOUNTS_STREAM, subjects.ACCOUNTS_ALL, 0.0, limits, "file")


def _bucket(name: str, subject: str, ttl: float, limits: Limits, storage: str) -> _Stream:
    """A bucket of keys, each with its last value, for `ttl` seconds (0: for ever)."""
    return _Stream(
        name=name,
        subjects=[subject],
        retention="limits",
        storage=storage,
        num_replicas=limits.replicas,
        discard="new",
        max_age=int(ttl * NANOSECONDS),
        max_msgs_per_subject=1,
        duplicate_window=1 * NANOSECONDS,
        allow_direct=True,
        allow_rollup_hdrs=True,
    )
