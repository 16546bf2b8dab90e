"""Deletes a person and all that is theirs. A mark stays: their id, and when that was."""

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol.accounts import RemoveUser
from mesh.protocol.chats import Ok
from mesh.store.mirror import News
from mesh.store.models import (
    ApiKey,
    Chat,
    ClientUsage,
    DeletedUser,
    Password,
    RefreshToken,
    Report,
    Run,
    ToolRun,
    Vote,
)
from mesh.store.queries import assistants, find, threads, tools
from mesh.store.queries.accounts import check_not_last_admin
from mesh.store.queries.chats import remove
from mesh.store.tool_runs import OVER
from mesh.store.usage import UsageDay


async def remove_user(session: AsyncSession, query: RemoveUser, now: float, news: News) -> Ok:
    """`unfinished` and `runs` of the reply: what is still generated, or goes on, for nobody."""
    user = await find.person(session, query.user)
    await check_not_last_admin(session, user)
    running = select(Run.rid).where(Run.tenant == user.id, Run.ended_at.is_(None))
    unfinished = tuple(await session.scalars(running))
    calling = select(ToolRun.id).where(ToolRun.tenant == user.id, ToolRun.state.not_in(OVER))
    runs = set(await session.scalars(calling))
    for key in await session.scalars(select(ApiKey).where(ApiKey.user_id == user.id)):
        news.revoked(key)
    for chat in await session.scalars(select(Chat).where(Chat.user_id == user.id)):
        await remove(session, chat, now)
    await session.flush()
    for kind in (ApiKey, Password, RefreshToken, Vote, Report):
        await session.execute(delete(kind).where(kind.user_id == user.id))
    runs.update(await threads.remove_of(session, user.id))
    for owned in (Run, ToolRun, ClientUsage, UsageDay):
        await session.execute(delete(owned).where(owned.tenant == user.id))
    for kept in (assistants, tools):
        await kept.remove_of(session, user.id)
    await session.delete(user)
    session.add(DeletedUser(id=user.id, deleted_at=now))
    news.gone(user.id)
    return Ok(unfinished=unfinished, runs=tuple(sorted(runs)), user=user.id)
