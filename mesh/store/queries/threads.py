"""Threads as wholes, and the runs on them. Their messages: `thread_messages.py`."""

from secrets import token_hex
from typing import cast

from sqlalchemy import ColumnElement, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol import threads as wire
from mesh.protocol.chats import Ok
from mesh.protocol.threads import (
    CreateThread,
    DeleteThread,
    ListThreadRuns,
    ListThreads,
    OpenThread,
    ThreadPage,
    ThreadRun,
    ThreadRuns,
    UpdateThread,
)
from mesh.protocol.tool_story import Status, rid_of
from mesh.store.models import Action, Run, ToolRun, User
from mesh.store.queries import find, once
from mesh.store.queries.askings import forget_words
from mesh.store.queries.paging import check_limit, page
from mesh.store.queries.thread_messages import add
from mesh.store.refusals import bad, no_such
from mesh.store.thread_models import Thread, ThreadMessage, ThreadParticipant
from mesh.store.tool_runs import OVER
from mesh.store.view import GRACE

PREFIX = "thread_"

MOST_TOGETHER = 100
"""People who may take part in a thread."""


async def create_thread(
    session: AsyncSession, query: CreateThread, now: float, most: int
) -> wire.Thread:
    """`most`: messages a thread may have."""
    known = await once.made(session, Thread, query.id, PREFIX)
    if known is not None:
        return await _shown(session, known)
    row = Thread(
        id=f"{PREFIX}{query.id or token_hex(16)}",
        owner=query.user_id,
        length=0,
        meta_data=query.meta_data,
        created_at=now,
    )
    session.add(row)
    await session.flush()
    await _set_participants(session, row, query.participants)
    for message in query.messages:
        await add(session, row, query.user_id, message, now, most)
    return await _shown(session, row)


async def open_thread(session: AsyncSession, query: OpenThread) -> wire.Thread:
    return await _shown(session, await find.thread(session, query.user_id, query.thread_id))


async def list_threads(session: AsyncSession, query: ListThreads) -> ThreadPage:
    check_limit(query.limit)
    part = select(ThreadParticipant.thread_id).where(ThreadParticipant.user == query.user_id)
    wanted = (
        select(Thread)
        .where(Thread.id.in_(part))
        .order_by(Thread.created_at.desc(), Thread.id.desc())
        .limit(query.limit + 1)
    )
    if query.after is not None:
        last = await find.thread(session, query.user_id, query.after)
        wanted = wanted.where(tuple_(Thread.created_at, Thread.id) < (last.created_at, last.id))
    rows = list(await session.scalars(wanted))
    found, more = page(await _all_shown(session, rows), query.limit)
    return ThreadPage(threads=found, more=more)


async def update_thread(session: AsyncSession, query: UpdateThread) -> wire.Thread:
    row = await _own(session, query.user_id, query.thread_id)
    if query.participants is not None:
        await _set_participants(session, row, query.participants)
    if query.meta_data is not None:
        row.meta_data = query.meta_data
    return await _shown(session, row)


async def delete_thread(session: AsyncSession, query: DeleteThread) -> Ok:
    """What its runs still say finds no thread any more."""
    row = await _own(session, query.user_id, query.thread_id)
    return Ok(runs=await _remove(session, row))


async def list_thread_runs(session: AsyncSession, query: ListThreadRuns, now: float) -> ThreadRuns:
    check_limit(query.limit)
    thread = await find.thread(session, query.user_id, query.thread_id)
    wanted = (
        select(ToolRun)
        .where(_of(thread))
        .order_by(ToolRun.created_at.desc(), ToolRun.id.desc())
        .limit(query.limit + 1)
    )
    if query.after is not None:
        last = await session.get(ToolRun, query.after)
        if last is None or last.thread != thread.id:
            raise no_such("run")
        wanted = wanted.where(tuple_(ToolRun.created_at, ToolRun.id) < (last.created_at, last.id))
    rows = list(await session.scalars(wanted))
    queued = await _queued(session, rows)
    found, more = page([_run(row, row.id in queued, now) for row in rows], query.limit)
    return ThreadRuns(runs=found, more=more)


async def remove_of(session: AsyncSession, user: str) -> tuple[str, ...]:
    """Delete somebody's threads, and what they wrote, or had written, in those of others.

    Returns the runs on those threads that are not over.
    """
    unfinished: list[str] = []
    for row in await session.scalars(select(Thread).where(Thread.owner == user)):
        unfinished += await _remove(session, row)
    await session.execute(delete(ThreadParticipant).where(ThreadParticipant.user == user))
    await session.execute(delete(ThreadMessage).where(ThreadMessage.sender == user))
    return tuple(unfinished)


async def _remove(session: AsyncSession, row: Thread) -> tuple[str, ...]:
    """Delete a thread, its runs, and the words of what they asked; returns the runs not over."""
    found = (await session.execute(select(ToolRun.id, ToolRun.state).where(_of(row)))).all()
    unfinished = tuple(run_id for run_id, state in found if state not in OVER)
    await forget_words(session, [run_id for run_id, _ in found])
    await session.execute(delete(ToolRun).where(_of(row)))
    await session.delete(row)
    return unfinished


async def _own(session: AsyncSession, user: str, thread_id: str) -> Thread:
    row = await find.thread(session, user, thread_id)
    if row.owner != user:
        raise no_such("thread")
    return row


def _of(thread: Thread) -> ColumnElement[bool]:
    """Which runs are on a thread, also of those who take part in it no longer: others may have one
    on something of theirs by the same name."""
    return (ToolRun.thread == thread.id) & ToolRun.on_thread


async def _set_participants(session: AsyncSession, row: Thread, others: tuple[str, ...]) -> None:
    """Let these, and the owner, take part. Raises MeshError (bad_request)."""
    if len(others) > MOST_TOGETHER:
        raise bad(f"{MOST_TOGETHER} people may take part in a thread.", "participant_ids")
    for user in set(others) - {row.owner}:
        if await session.get(User, user) is None:
            raise bad(f"There is no user {user!r}.", "participant_ids")
    mine = ThreadParticipant.thread_id == row.id
    await session.execute(delete(ThreadParticipant).where(mine))
    for user in {row.owner, *others}:
        session.add(ThreadParticipant(thread_id=row.id, user=user))
    await session.flush()


async def _shown(session: AsyncSession, row: Thread) -> wire.Thread:
    return (await _all_shown(session, [row]))[0]


async def _all_shown(session: AsyncSession, rows: list[Thread]) -> list[wire.Thread]:
    part = select(ThreadParticipant).where(
        ThreadParticipant.thread_id.in_([row.id for row in rows])
    )
    found = sorted((each.thread_id, each.user) for each in await session.scalars(part))
    return [
        wire.Thread(
            id=row.id,
            owner=row.owner,
            participants=(
                row.owner,
                *(user for thread, user in found if thread == row.id and user != row.owner),
            ),
            created_at=row.created_at,
            meta_data=row.meta_data,
        )
        for row in rows
    ]


async def _queued(session: AsyncSession, rows: list[ToolRun]) -> set[str]:
    """Those of these runs whose first asking no worker has taken up."""
    first = {rid_of(row.id, 0): row.id for row in rows if row.state == "in_progress"}
    begun = select(Run.rid).where(Run.rid.in_(first), Run.state != "queued")
    called = select(Action.run_id).where(Action.run_id.in_(first.values()))
    known = {first[rid] for rid in await session.scalars(begun)}
    return set(first.values()) - known - set(await session.scalars(called))


def _run(row: ToolRun, queued: bool, now: float) -> ThreadRun:
    """One whose end was lost with the log is shown as expired."""
    state = "queued" if queued else row.state
    if row.state not in OVER and row.deadline + GRACE < now:
        state = "expired"
    return ThreadRun(
        id=row.id,
        user=row.tenant,
        thread_id=row.thread,
        assistant_id=row.assistant,
        model=row.model,
        state=cast("Status", state),
        created_at=row.created_at,
        deadline=row.deadline,
        ended_at=row.ended_at,
        error_code=row.error_code,
        error=row.error,
    )
