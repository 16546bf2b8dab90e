"""`GET /mesh/events`: the mesh as it works, for the page: once a second how it stands, and what
happens. Says what happens, never what is said; of other people's requests it gives no id, unless
to an operator.
"""

import asyncio
import logging
from collections.abc import Iterator
from typing import Literal

import msgspec
from litestar import get
from msgspec import Struct

from mesh.gateway.errors import AnyRequest
from mesh.gateway.event_stream import EventStream, Wire
from mesh.gateway.headers import RESUMABLE, last_event_id
from mesh.gateway.health import WorkerRead, worker_read
from mesh.gateway.lookout import Happening
from mesh.gateway.services import Services, Wired
from mesh.gateway.tokens import Principal
from mesh.protocol.errors import MeshError
from mesh.protocol.events import (
    Cancelled,
    Claim,
    Done,
    Failed,
    Queued,
    WorkerLost,
    WorkerStarted,
    WorkerStopped,
)
from mesh.protocol.run import Run
from mesh.protocol.tool_story import WRITER

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks, at the mesh and at who may see it."""

SHOWN = 100
"""Requests that are told one by one; the others are counted."""


class QueueRead(Struct, frozen=True, kw_only=True):
    """A model's requests: waiting, and in work; and the workers that take new ones, with their
    slots."""

    model: str
    waiting: int
    running: int
    workers: int
    slots: int


class RequestRead(Struct, frozen=True, kw_only=True):
    """A request without an end. rid: to cancel it by; null where one may not. created: Unix
    seconds; chat_id: of one's own chat."""

    rid: str | None
    model: str
    state: Literal["waiting", "running", "stopping"]
    mine: bool
    created: float
    worker: str | None
    attempts: int
    chat_id: str | None


class MeshState(Struct, frozen=True, kw_only=True, tag_field="event_type", tag="state"):
    """How the mesh stands. at: Unix seconds; operator: whether one may drain workers and cancel
    what others asked for; requests: the oldest SHOWN of `unfinished`."""

    at: float
    broker: bool
    operator: bool
    workers: list[WorkerRead]
    queues: list[QueueRead]
    requests: list[RequestRead]
    unfinished: int


class MeshHappening(
    Struct, frozen=True, kw_only=True, tag_field="event_type", tag="event", omit_defaults=True
):
    """Something that happened; the event's id is its place in the log.

    what: queued, claim, cancel, done, failed, cancelled, deleted, started, stopped or lost;
    tokens, and seconds from asking to the first token and from there to the end: of an answer that
    ended.
    """

    at: float
    what: str
    mine: bool = False
    rid: str | None = None
    worker: str | None = None
    model: str | None = None
    attempt: int = 0
    tokens: int = 0
    first_token: float | None = None
    generate: float = 0.0
    code: str | None = None
    detail: str = ""


def operates(services: Services, request: AnyRequest, principal: Principal) -> bool:
    """Whether somebody may act on the mesh as a whole.

    On a private gateway everybody may, for its debug login believes any name; not through a proxy.
    """
    return principal.role in ("operator", "admin") or services.doorman.is_private(request)


@get("/mesh/events", events=(MeshState, MeshHappening), headers=RESUMABLE)
async def mesh_events(request: AnyRequest, services: Wired) -> EventStream:
    """Workers, queues, requests under way and events, as Server-Sent Events, without end.

    With `Last-Event-ID` the events behind it come, as far as they are remembered. It ends when who
    asked for it would not be let in any more, as with a token that has expired.
    """
    services.doorman.signed_in(request)
    after = last_event_id(request) or 0

    async def write(wire: Wire) -> None:
        told = after
        closing = asyncio.create_task(services.lookout.closing.wait())
        try:
            with services.lookout.watching():
                while not (wire.gone.done() or closing.done()):
                    viewer = await _view(services, request)
                    news, told = viewer.news(told)
                    await wire.write(viewer.state() + news)
                    await asyncio.wait(
                        [wire.gone, closing], timeout=EVERY, return_when=asyncio.FIRST_COMPLETED
                    )
        except MeshError as error:
            log.debug("Somebody may not watch the mesh any more: %s", error.detail)
        finally:
            closing.cancel()

    return EventStream(write)


class View:
    """The mesh as one person may see it."""

    def __init__(self, services: Services, request: AnyRequest, viewer: Principal) -> None:
        self._services = services
        self._viewer = viewer
        self._operator = operates(services, request, viewer)

    def state(self) -> bytes:
        """How the mesh stands now, as an event."""
        services = self._services
        workers = sorted(services.fleet.workers.values(), key=lambda worker: worker.name)
        runs = services.lookout.runs
        oldest = sorted(runs.items(), key=lambda item: _created(item[1]))[:SHOWN]
        state = MeshState(
            at=services.clock(),
            broker=services.bus.connected,
            operator=self._operator,
            workers=[worker_read(worker) for worker in workers],
            queues=list(self._queues(runs)),
            requests=[self._request(rid, run) for rid, run in oldest],
            unfinished=len(runs),
        )
        return b"data: %b\n\n" % msgspec.json.encode(state)

    def news(self, after: int) -> tuple[bytes, int]:
        """What happened behind a sequence, as events, and the sequence of the last of them."""
        found = [each for each in self._services.lookout.happenings if each.seq > after]
        events = b"".join(
            b"id: %d\ndata: %b\n\n" % (each.seq, msgspec.json.encode(self._happening(each)))
            for each in found
        )
        return events, found[-1].seq if found else after

    def _queues(self, runs: dict[str, Run]) -> Iterator[QueueRead]:
        services = self._services
        for model in services.models.cards():
            serving = services.models.workers(model)
            running = [run for run in runs.values() if run.n and _model(run) == model]
            yield QueueRead(
                model=model,
                waiting=services.waiting.size(model),
                running=len(running),
                workers=len(serving),
                slots=sum(worker.slots for worker in serving),
            )

    def _request(self, rid: str, run: Run) -> RequestRead:
        queued = run.queued
        mine = queued is not None and queued.request.tenant == self._viewer.user_id
        turn = queued.turn if queued is not None and mine else None
        return RequestRead(
            rid=rid if mine or self._operator else None,
            model=_model(run),
            state="stopping" if run.cancel else "running" if run.n else "waiting",
            mine=mine,
            created=_created(run),
            worker=run.worker[1].user if run.worker else None,
            attempts=run.worker[0] if run.worker else 0,
            chat_id=turn.chat_id if turn else None,
        )

    def _happening(self, told: Happening) -> MeshHappening:
        mine = bool(told.tenant) and told.tenant == self._viewer.user_id
        event, writer = told.event, told.where.writer.user
        rid = told.where.rid if mine or self._operator else None
        what = str(event.__struct_config__.tag).removeprefix("worker_")
        match event:
            case WorkerStarted(info=info):
                models = ", ".join(card.name for card in info.models)
                return MeshHappening(at=told.at, what=what, worker=info.name, detail=models)
            case WorkerStopped(name=name, reason=reason):
                return MeshHappening(at=told.at, what=what, worker=name, detail=reason)
            case WorkerLost(name=name):
                return MeshHappening(at=told.at, what=what, worker=name)
            case Queued(request=request):
                return MeshHappening(at=told.at, what=what, mine=mine, rid=rid, model=request.model)
            case Claim(n=n, model=model):
                return MeshHappening(
                    at=told.at, what=what, mine=mine, rid=rid, worker=writer, model=model, attempt=n
                )
            case Done() | Failed() | Cancelled():
                return MeshHappening(
                    at=told.at,
                    what=what,
                    mine=mine,
                    rid=rid,
                    worker=writer if writer != WRITER else None,
                    tokens=event.usage.completion_tokens,
                    first_token=event.timings.first_token,
                    generate=event.timings.generate,
                    code=event.code.value if isinstance(event, Failed) else None,
                )
            case _:
                return MeshHappening(at=told.at, what=what, mine=mine, rid=rid)


async def _view(services: Services, request: AnyRequest) -> View:
    """The mesh as who asked for it may see it now. Raises MeshError if they would be refused."""
    await services.trusted.identify(request)
    return View(services, request, services.doorman.anew(request))


def _model(run: Run) -> str:
    return run.queued.request.model if run.queued else ""


def _created(run: Run) -> float:
    return run.queued.request.created if run.queued else 0.0
