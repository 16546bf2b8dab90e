"""A stream as one run of bytes, taken while it is written to, and a stream made of such bytes.

The format is the broker's own (a compressed archive), and so is the conversation: chunks that
are acknowledged one by one, so that neither side has to hold the whole. Files are nobody's
business here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import msgspec
from msgspec import Raw, Struct
from nats.aio.msg import Msg

from mesh.bus.api import StreamInfo, StreamState, refusal
from mesh.bus.connection import Bus, BusError, Silence, status
from mesh.bus.jetstream import JetStream

CHUNK = 256 << 10
"""Bytes of a chunk; the broker has at most thirty-two of them under way."""

PATIENCE = 60.0
"""Seconds for the next chunk, and for the broker to make a stream of what it was given."""


class Broken(BusError):
    """The broker ended a snapshot before it was whole, or a stream is not what was given."""


class Snapshot(Struct, frozen=True):
    """What the broker says at the beginning of a snapshot. config: JSON, as it has to be given
    back; state: at this moment; what is stored while it is being taken may be in it as well."""

    config: Raw
    state: StreamState


class _Ask(Struct):
    deliver_subject: str
    chunk_size: int = CHUNK
    no_consumers: bool = True


class _Offer(Struct):
    config: dict[str, object]


class _Accepted(Struct):
    deliver_subject: str


async def take(js: JetStream, stream: str, write: Callable[[bytes], object]) -> Snapshot:
    """Hand a snapshot of a stream to `write`, chunk by chunk, without its consumers.

    Of a stream that is written to it has everything up to some moment, and nothing behind that.
    Raises BusError; what was written until then is worth nothing.
    """
    async with _chunks(js.bus) as (inbox, arrived):
        found = await js.api(f"STREAM.SNAPSHOT.{stream}", _Ask(inbox), Snapshot)
        while data := await _next(arrived, stream):
            write(data.data)
            if data.reply:
                await js.bus.send(data.reply, b"")
        return found


async def give(
    js: JetStream, stream: str, config: bytes, replicas: int, chunks: Iterable[bytes]
) -> StreamInfo:
    """Make a stream of a snapshot: the same messages by the same numbers, and a new identity.

    The broker refuses where there is one of that name. Raises BusError: there is no such stream
    then, unless it is Silence, where it is not known.
    """
    offer = _Offer(msgspec.json.decode(config, type=dict[str, object]) | {"num_replicas": replicas})
    accepted = await js.api(f"STREAM.RESTORE.{stream}", offer, _Accepted)
    for chunk in chunks:
        _check(await js.bus.request(accepted.deliver_subject, chunk, PATIENCE))
    answer = await js.bus.request(accepted.deliver_subject, b"", PATIENCE)
    _check(answer)
    return msgspec.json.decode(answer.data, type=StreamInfo)


@asynccontextmanager
async def _chunks(bus: Bus) -> AsyncIterator[tuple[str, "asyncio.Queue[Msg]"]]:
    """An address of our own, and what arrives there."""
    arrived: asyncio.Queue[Msg] = asyncio.Queue()
    inbox = f"{bus.inbox}.s.{id(arrived)}"
    subscription = await bus.listen(inbox, arrived.put_nowait)
    try:
        yield inbox, arrived
    finally:
        if not bus.client.is_closed:
            await subscription.unsubscribe()


async def _next(arrived: "asyncio.Queue[Msg]", stream: str) -> Msg | None:
    """The next chunk; None at the end. An end that is none has a status that says why."""
    try:
        async with asyncio.timeout(PATIENCE):
            msg = await arrived.get()
    except TimeoutError:
        raise Silence(f"the snapshot of {stream} stopped half-way") from None
    if msg.data:
        return msg
    if status(msg) not in ("", "204"):
        raise Broken(f"the broker gave up the snapshot of {stream} (status {status(msg)})")
    return None


def _check(answer: Msg) -> None:
    """Raise ApiError if the broker would not have a chunk. An empty answer asks for the next."""
    why = refusal(answer.data) if answer.data else None
    if why is not None:
        raise why
