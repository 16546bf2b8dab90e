"""Assistants: kept by their owner, used by whomever they are shared with."""

from secrets import token_hex

from sqlalchemy import delete, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol import assistants as wire
from mesh.protocol.assistants import (
    AssistantPage,
    CreateAssistant,
    DeleteAssistant,
    GetAssistant,
    GiveTool,
    ListAssistants,
    ShareAssistant,
    UpdateAssistant,
)
from mesh.protocol.chats import Ok
from mesh.store.models import User
from mesh.store.queries import find, once, tools
from mesh.store.queries.paging import check_limit, check_room, page
from mesh.store.refusals import bad, no_such
from mesh.store.thread_models import Assistant, AssistantTool, AssistantUser

PREFIX = "asst_"


async def create_assistant(
    session: AsyncSession, query: CreateAssistant, now: float
) -> wire.Assistant:
    known = await once.made(session, Assistant, query.id, PREFIX)
    if known is not None:
        return (await _all_shown(session, [known], query.user_id))[0]
    await check_room(session, Assistant, query.user_id)
    id = f"{PREFIX}{query.id or token_hex(16)}"
    row = Assistant(id=id, owner=query.user_id, fields=query.fields, created_at=now)
    session.add(row)
    return _shown(row, query.user_id, (), ())


async def get_assistant(session: AsyncSession, query: GetAssistant) -> wire.Assistant:
    row = await find.assistant(session, query.user_id, query.assistant_id)
    return (await _all_shown(session, [row], query.user_id))[0]


async def list_assistants(session: AsyncSession, query: ListAssistants) -> AssistantPage:
    check_limit(query.limit)
    shared = select(AssistantUser.assistant_id).where(AssistantUser.user == query.user_id)
    wanted = (
        select(Assistant)
        .where(or_(Assistant.owner == query.user_id, Assistant.id.in_(shared)))
        .order_by(Assistant.created_at, Assistant.id)
        .limit(query.limit + 1)
    )
    if query.after is not None:
        last = await find.assistant(session, query.user_id, query.after)
        place = tuple_(Assistant.created_at, Assistant.id)
        wanted = wanted.where(place > (last.created_at, last.id))
    rows = list(await session.scalars(wanted))
    found, more = page(await _all_shown(session, rows, query.user_id), query.limit)
    return AssistantPage(assistants=found, more=more)


async def update_assistant(session: AsyncSession, query: UpdateAssistant) -> wire.Assistant:
    row = await _own(session, query.user_id, query.assistant_id)
    row.fields = query.changes.of(row.fields)
    return (await _all_shown(session, [row], query.user_id))[0]


async def delete_assistant(session: AsyncSession, query: DeleteAssistant) -> Ok:
    await session.delete(await _own(session, query.user_id, query.assistant_id))
    return Ok()


async def share_assistant(session: AsyncSession, query: ShareAssistant) -> Ok:
    """Sharing twice, or taking back what nobody has, is fine."""
    row = await find.assistant(session, query.user_id, query.assistant_id)
    gives_up = not query.shared and query.shared_with == query.user_id
    if row.owner != query.user_id and not gives_up:
        raise no_such("assistant")
    if row.owner == query.shared_with:
        raise bad("An assistant is its owner's already, and stays so; delete it.", "user_id")
    if await session.get(User, query.shared_with) is None:
        raise no_such("user")
    key = (row.id, query.shared_with)
    known = await session.get(AssistantUser, key)
    if query.shared and known is None:
        session.add(AssistantUser(assistant_id=row.id, user=query.shared_with))
    if not query.shared and known is not None:
        await session.delete(known)
    return Ok()


async def give_tool(session: AsyncSession, query: GiveTool) -> Ok:
    row = await _own(session, query.user_id, query.assistant_id)
    tool = await tools.own(session, query.user_id, query.tool_id)
    known = await session.get(AssistantTool, (row.id, tool.id))
    if query.given and known is None:
        session.add(AssistantTool(assistant_id=row.id, tool_id=tool.id))
    if not query.given and known is not None:
        await session.delete(known)
    return Ok()


async def remove_of(session: AsyncSession, user: str) -> None:
    """Delete somebody's assistants, and what others shared with them."""
    await session.execute(delete(AssistantUser).where(AssistantUser.user == user))
    await session.execute(delete(Assistant).where(Assistant.owner == user))


async def _own(session: AsyncSession, user: str, assistant_id: str) -> Assistant:
    """Raises MeshError (not_found), also for one that is shared with them."""
    row = await find.assistant(session, user, assistant_id)
    if row.owner != user:
        raise no_such("assistant")
    return row


async def _all_shown(
    session: AsyncSession, rows: list[Assistant], user: str
) -> list[wire.Assistant]:
    ids = [row.id for row in rows]
    shared = select(AssistantUser).where(AssistantUser.assistant_id.in_(ids))
    given = select(AssistantTool).where(AssistantTool.assistant_id.in_(ids))
    users = [(each.assistant_id, each.user) for each in await session.scalars(shared)]
    tool_ids = [(each.assistant_id, each.tool_id) for each in await session.scalars(given)]
    return [
        _shown(
            row,
            user,
            tuple(user for assistant, user in users if assistant == row.id),
            tuple(tool for assistant, tool in tool_ids if assistant == row.id),
        )
        for row in rows
    ]


def _shown(
    row: Assistant, user: str, users: tuple[str, ...], given: tuple[str, ...]
) -> wire.Assistant:
    return wire.Assistant(
        id=row.id,
        owner=row.owner,
        created_at=row.created_at,
        fields=row.fields,
        users=users if row.owner == user else (),
        given=given,
    )
