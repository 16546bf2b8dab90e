"""The mesh as the operator sees it: a connection of one's own, and who works on what right now.

Speaks to the broker alone, so it works while gateway and store are down. Changes nothing.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from mesh.bus.api import NO_STREAM, ApiError
from mesh.bus.connection import Bus, BusError
from mesh.bus.history import story
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import present
from mesh.bus.stored import Stored
from mesh.bus.versions import refuse_other_protocol
from mesh.cli import broker
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.hidden import without_userinfo
from mesh.protocol.request import Prompt, Request
from mesh.protocol.worker_info import WorkerInfo
from mesh.settings import OperatorSettings

PATIENCE = 5.0
"""Seconds to wait for the broker's greeting."""

SHOWN = 100
"""Requests that are looked up one by one; more are counted only."""


class Worker(Struct, frozen=True, kw_only=True):
    """A worker that is there. speed: tokens per second of late; up: seconds since its start; state:
    of its model."""

    name: str
    models: list[str]
    engine: str
    slots: int
    running: int
    speed: float
    up: float
    draining: bool
    host: str
    hardware: str
    pid: int
    version: str
    state: str = "serving"

    @property
    def remark(self) -> str:
        """What there is to say of it for people, if it does not simply serve."""
        if self.draining:
            return "draining"
        return "" if self.state == "serving" else self.state


class Queue(Struct, frozen=True, kw_only=True):
    """A model's requests: waiting for a worker, and handed to one; and who serves it."""

    model: str
    waiting: int
    in_work: int
    workers: int
    slots: int


class Pending(Struct, frozen=True, kw_only=True):
    """A request without an end. seconds: since it was asked; attempts: claims made on it."""

    rid: str
    model: str
    tenant: str
    state: Literal["waiting", "running", "stopping"]
    seconds: float
    worker: str | None
    attempts: int


class Snapshot(Struct, frozen=True, kw_only=True):
    """The mesh at one moment. requests: the oldest SHOWN of `unfinished`; at: Unix seconds."""

    at: float
    workers: list[Worker]
    queues: list[Queue]
    requests: list[Pending]
    unfinished: int


@asynccontextmanager
async def connected(settings: OperatorSettings) -> AsyncIterator[JetStream]:
    """The operator's connection. Raises MeshError: broker_unavailable, forbidden, unsupported."""
    password = settings.operator_password
    if not await asyncio.to_thread(_somebody_listens, settings.servers):
        raise _unreachable(settings)
    try:
        async with asyncio.timeout(PATIENCE):
            bus = await Bus.connect(
                settings.servers, "operator", password, "operator", settings.nats_ca
            )
    except TimeoutError:
        raise _unreachable(settings) from None
    try:
        js = JetStream(bus)
        with suppress(BusError):  # whoever asks for something hears of it then
            await refuse_other_protocol(js, "command")
        yield js
    finally:
        await bus.close()


def _somebody_listens(servers: list[str]) -> bool:
    return any(broker.listening(*broker.address(server)) for server in servers)


def _unreachable(settings: OperatorSettings) -> MeshError:
    where = without_userinfo(", ".join(settings.servers))
    return MeshError(
        ErrorCode.BROKER_UNAVAILABLE,
        f"No broker answers at {where}: start one with `mesh up`, or name "
        "another with --nats or MESH_NATS.",
    )


async def look(js: JetStream) -> Snapshot:
    """Who is there, what waits, what runs. Raises BusError; a mesh never used is an empty one."""
    now = time.time()
    workers = await workers_present(js)
    queues = await models_queues(js, workers)
    unfinished = sum(queue.waiting + queue.in_work for queue in queues)
    requests, whole = await _requests(js) if unfinished else ([], True)
    if whole:
        queues = [_as_told(queue, requests) for queue in queues]
        unfinished = len(requests)
    return Snapshot(
        at=now,
        workers=[_worker(info, now) for info in workers],
        queues=queues,
        requests=requests,
        unfinished=unfinished,
    )


def _worker(info: WorkerInfo, now: float) -> Worker:
    return Worker(
        name=info.name,
        models=[card.name for card in info.models],
        engine=", ".join(sorted({card.engine for card in info.models})),
        slots=info.slots,
        running=info.running,
        speed=info.speed,
        up=max(0.0, now - info.started),
        draining=info.draining,
        host=info.host,
        hardware=info.hardware,
        pid=info.pid,
        version=info.version,
        state=info.state,
    )


async def workers_present(js: JetStream) -> list[WorkerInfo]:
    """The workers present, by name; none where no gateway has ever run."""
    try:
        await js.stream_info(subjects.WORKERS_STREAM)  # a stream that is not there reads as silence
        return await present(js)
    except ApiError as error:
        if error.code != NO_STREAM:
            raise
        return []


async def models_queues(js: JetStream, workers: list[WorkerInfo]) -> list[Queue]:
    """The queue of each model that was ever served, by name."""
    try:
        names = await js.consumer_names(subjects.REQ_STREAM)
    except ApiError as error:
        if error.code != NO_STREAM:
            raise
        return []
    consumers: dict[str, list[str]] = defaultdict(list)
    for name in names:
        consumers[subjects.model_of(name)].append(name)
    return [await _queue(js, *each, workers) for each in sorted(consumers.items())]


async def _queue(
    js: JetStream, model: str, consumers: list[str], workers: list[WorkerInfo]
) -> Queue:
    asked = (js.consumer_info(subjects.REQ_STREAM, name) for name in consumers)
    lanes = await asyncio.gather(*asked)
    serving = [
        worker
        for worker in workers
        if not worker.draining and any(card.name == model for card in worker.models)
    ]
    return Queue(
        model=model,
        waiting=sum(info.num_pending for info in lanes),
        in_work=sum(info.num_ack_pending for info in lanes),
        workers=len(serving),
        slots=sum(worker.slots for worker in serving),
    )


def _as_told(queue: Queue, requests: list[Pending]) -> Queue:
    """A queue as the log has it: what was handed out may have been given back and wait again, and
    what has ended may lie there still."""
    states = [each.state for each in requests if each.model == queue.model]
    waiting = states.count("waiting")
    return replace(queue, waiting=waiting, in_work=len(states) - waiting)


async def _requests(js: JetStream) -> tuple[list[Pending], bool]:
    """The oldest requests without an end: what is in the queue, and what the log says of it.

    And whether these are all, or more was in the queue than is looked up.
    """
    found: dict[str, Pending | None] = {}
    at = 1
    item: Stored | None = None
    while len(found) < SHOWN:
        item = await js.next(subjects.REQ_STREAM, subjects.REQ_ALL, at)
        if item is None:
            break
        at = item.seq + 1
        try:
            request = decode(item.data, Prompt).request
        except msgspec.DecodeError:
            continue
        found[request.rid] = await _pending(js, request)
    return [each for each in found.values() if each is not None], item is None


async def _pending(js: JetStream, request: Request) -> Pending | None:
    """How a request stands; None: it has ended, or the log has forgotten it."""
    run = await story(js, request.rid)
    if run is None or run.end is not None:
        return None
    return Pending(
        rid=request.rid,
        model=request.model,
        tenant=request.tenant,
        state="stopping" if run.cancel else "running" if run.n else "waiting",
        seconds=max(0.0, time.time() - request.created),
        worker=run.worker[1].user if run.worker else None,
        attempts=run.worker[0] if run.worker else 0,
    )
