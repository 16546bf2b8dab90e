"""Generations, in chats or not, and what happened to workers."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol.chats import GetRun, ListWorkerEvents, RunRow, WorkerEvents
from mesh.store import view
from mesh.store.models import Run, SkippedEvent, WorkerEvent
from mesh.store.refusals import bad, not_there_yet

MOST_LISTED = 10_000


async def get_run(session: AsyncSession, query: GetRun, now: float) -> RunRow:
    run = await session.get(Run, query.rid)
    if run is None or query.tenant not in ("", run.tenant):
        raise not_there_yet("request")
    return view.generation(run, now)


async def list_worker_events(session: AsyncSession, query: ListWorkerEvents) -> WorkerEvents:
    """The newest ones, shown oldest first."""
    if not 1 <= query.limit <= MOST_LISTED:
        raise bad(f"limit must be between 1 and {MOST_LISTED}.", "limit")
    wanted = select(WorkerEvent).order_by(
        WorkerEvent.at.desc(), WorkerEvent.seq.desc(), WorkerEvent.kind
    )
    if query.worker is not None:
        wanted = wanted.where(WorkerEvent.worker == query.worker)
    found = list(await session.scalars(wanted.limit(query.limit)))
    return WorkerEvents(events=tuple(view.worker_event(row) for row in reversed(found)))


async def count_skipped(session: AsyncSession) -> int:
    """Messages of the log that could not be understood or kept."""
    return await session.scalar(select(func.count()).select_from(SkippedEvent)) or 0
