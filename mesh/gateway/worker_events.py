"""`GET /workers/events`: what happened to workers, as the store keeps it; whose request it was,
it does not tell."""

from datetime import UTC, datetime
from typing import Annotated

from litestar import get
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from mesh.gateway.errors import AnyRequest
from mesh.gateway.services import Wired
from mesh.protocol.chats import ListWorkerEvents, WorkerEventKind


class WorkerEventRead(Struct):
    """One thing that happened to a worker; detail says more where there is more to say."""

    at: datetime
    worker: str
    kind: WorkerEventKind
    detail: str


class WorkerEventsRead(Struct):
    """Oldest first."""

    events: list[WorkerEventRead]


@get("/workers/events")
async def worker_events(
    request: AnyRequest,
    services: Wired,
    worker: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> WorkerEventsRead:
    """The last events of the workers, or of one of them."""
    services.doorman.signed_in(request)
    found = await services.store.ask(ListWorkerEvents(worker=worker, limit=limit))
    return WorkerEventsRead(
        [
            WorkerEventRead(datetime.fromtimestamp(row.at, UTC), row.worker, row.kind, row.detail)
            for row in found.events
        ]
    )
