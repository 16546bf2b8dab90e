"""Generations, in chats or not, and what happened to workers."""

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol.accounts import ListRuns, Runs
from mesh.protocol.chats import GetRun, ListWorkerEvents, RunRow, WorkerEvents
from mesh.protocol.clients import ClientUsage, GetClient
from mesh.protocol.request import Message
from mesh.protocol.threads import PlanThread
from mesh.protocol.tools import GetThread, ThreadHistory
from mesh.store import view
from mesh.store.models import ClientUsage as Usage
from mesh.store.models import Run, SkippedEvent, ToolRun, WorkerEvent
from mesh.store.queries.paging import check_limit, page
from mesh.store.queries.thread_messages import plan_thread
from mesh.store.refusals import no_such, not_there_yet
from mesh.store.thread_models import ThreadParticipant

MOST_EVENTS = 10_000


async def get_run(session: AsyncSession, query: GetRun, now: float) -> RunRow:
    run = await session.get(Run, query.rid)
    if run is None or query.tenant not in ("", run.tenant):
        raise not_there_yet("request")
    return view.generation(run, now)


async def list_runs(session: AsyncSession, query: ListRuns, now: float) -> Runs:
    """Oldest first by (created_at, rid), as many as a reply holds."""
    check_limit(query.limit)
    wanted = (
        select(Run)
        .where(Run.tenant == query.tenant, Run.chat_id.is_(None))
        .order_by(Run.created_at, Run.rid)
        .limit(query.limit + 1)
    )
    if query.after is not None:
        last = await session.get(Run, query.after)
        if last is None or last.tenant != query.tenant:
            raise no_such("request")
        wanted = wanted.where(tuple_(Run.created_at, Run.rid) > (last.created_at, last.rid))
    found = [view.generation(row, now) for row in await session.scalars(wanted)]
    shown, more = page(found, query.limit)
    return Runs(runs=shown, next=shown[-1].rid if more else None)


async def get_client(session: AsyncSession, query: GetClient) -> ClientUsage:
    """The sum over its users."""
    wanted = select(
        func.count(),
        func.sum(Usage.requests),
        func.sum(Usage.prompt_tokens),
        func.sum(Usage.completion_tokens),
    ).where(Usage.tenant == query.tenant, Usage.client == query.client)
    users, requests, prompt, completion = (await session.execute(wanted)).one()
    if not users:
        raise not_there_yet("client")
    return ClientUsage(
        client=query.client,
        requests=requests,
        prompt_tokens=prompt,
        completion_tokens=completion,
    )


async def get_thread(session: AsyncSession, query: GetThread) -> ThreadHistory:
    """The newest ones, shown oldest first."""
    if await session.get(ThreadParticipant, (query.thread, query.tenant)) is not None:
        asked = PlanThread(user_id=query.tenant, thread_id=query.thread, without=query.without)
        plan = await plan_thread(session, asked)
        return ThreadHistory(messages=plan.messages, kept=True)
    wanted = (
        select(ToolRun)
        .where(
            ToolRun.tenant == query.tenant,
            ToolRun.thread == query.thread,
            ToolRun.state.in_(("completed", "incomplete")),
            ToolRun.question != "",  # else it was on a thread that the tenant had to leave
            ToolRun.text != "",
        )
        .order_by(ToolRun.created_at.desc(), ToolRun.id)
        .limit(query.limit)
    )
    found = reversed(list(await session.scalars(wanted)))
    return ThreadHistory(
        messages=tuple(
            message
            for run in found
            for message in (
                Message(role="user", content=run.question),
                Message(role="assistant", content=run.text),
            )
        )
    )


async def list_worker_events(session: AsyncSession, query: ListWorkerEvents) -> WorkerEvents:
    """The newest ones, shown oldest first."""
    check_limit(query.limit, MOST_EVENTS)
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
