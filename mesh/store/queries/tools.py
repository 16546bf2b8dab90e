"""Descriptions of tools, kept to be given to assistants. What a tool does, its service knows."""

from secrets import token_hex

from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol import assistants as wire
from mesh.protocol.assistants import (
    CreateTool,
    DeleteTool,
    GetTool,
    ListTools,
    ToolPage,
    UpdateTool,
)
from mesh.protocol.chats import Ok
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.store.queries import find
from mesh.store.queries.paging import check_limit, check_room, page
from mesh.store.refusals import no_such
from mesh.store.thread_models import AssistantTool, KeptTool


async def create_tool(session: AsyncSession, query: CreateTool, now: float) -> wire.KeptTool:
    await check_room(session, KeptTool, query.user_id)
    await _check_name(session, query.user_id, query.tool.name)
    row = KeptTool(
        id=f"tool_{token_hex(16)}",
        owner=query.user_id,
        name=query.tool.name,
        tool=query.tool,
        created_at=now,
    )
    session.add(row)
    return shown(row)


async def get_tool(session: AsyncSession, query: GetTool) -> wire.KeptTool:
    if query.tool_id:
        return shown(await own(session, query.user_id, query.tool_id))
    named = await _named(session, query.user_id, query.name)
    if named is None:
        raise no_such("tool")
    return shown(named)


async def list_tools(session: AsyncSession, query: ListTools) -> ToolPage:
    check_limit(query.limit)
    wanted = select(KeptTool).order_by(KeptTool.created_at, KeptTool.id).limit(query.limit + 1)
    owner = query.user_id
    if query.assistant_id:
        assistant = await find.assistant(session, query.user_id, query.assistant_id)
        given = AssistantTool.assistant_id == assistant.id
        wanted = wanted.join(AssistantTool, AssistantTool.tool_id == KeptTool.id).where(given)
        owner = assistant.owner
    wanted = wanted.where(KeptTool.owner == owner)
    if query.after is not None:
        last = await own(session, owner, query.after)
        wanted = wanted.where(tuple_(KeptTool.created_at, KeptTool.id) > (last.created_at, last.id))
    found, more = page([shown(row) for row in await session.scalars(wanted)], query.limit)
    return ToolPage(tools=found, more=more)


async def update_tool(session: AsyncSession, query: UpdateTool) -> wire.KeptTool:
    row = await own(session, query.user_id, query.tool_id)
    if row.name != query.tool.name:
        await _check_name(session, query.user_id, query.tool.name)
    row.name, row.tool = query.tool.name, query.tool
    return shown(row)


async def delete_tool(session: AsyncSession, query: DeleteTool) -> Ok:
    await session.delete(await own(session, query.user_id, query.tool_id))
    return Ok()


async def own(session: AsyncSession, user: str, tool_id: str) -> KeptTool:
    """Raises MeshError (not_found)."""
    row = await session.get(KeptTool, tool_id)
    if row is None or row.owner != user:
        raise no_such("tool")
    return row


async def remove_of(session: AsyncSession, user: str) -> None:
    """Delete somebody's tools."""
    await session.execute(delete(KeptTool).where(KeptTool.owner == user))


def shown(row: KeptTool) -> wire.KeptTool:
    return wire.KeptTool(id=row.id, owner=row.owner, created_at=row.created_at, tool=row.tool)


async def _named(session: AsyncSession, user: str, name: str) -> KeptTool | None:
    wanted = select(KeptTool).where(KeptTool.owner == user, KeptTool.name == name)
    return (await session.scalars(wanted)).one_or_none()


async def _check_name(session: AsyncSession, user: str, name: str) -> None:
    if await _named(session, user, name) is not None:
        detail = f"You have a tool {name!r} already; change that one, or take another name."
        raise MeshError(ErrorCode.CONFLICT, detail, param="name")
