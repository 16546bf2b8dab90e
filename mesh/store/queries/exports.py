"""Which chats are exported: the choice that the command and the gateway have in common."""

from sqlalchemy import Select, exists, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.exports import HEADS, ExportHead, ExportHeads, Filters, ListExport
from mesh.store.models import Chat, Message, Report, User, Vote
from mesh.store.queries.chats import place


async def list_export(session: AsyncSession, query: ListExport) -> ExportHeads:
    """Oldest first by (created_at, id)."""
    chosen = await choose(session, query.filters)
    wanted = chosen.join(User, User.id == Chat.user_id).add_columns(User.id, User.account)
    if query.after is not None:
        wanted = wanted.where(tuple_(Chat.created_at, Chat.id) > await place(session, query.after))
    found = (await session.execute(wanted.limit(HEADS + 1))).all()
    heads = tuple(
        ExportHead(chat_id=chat_id, user_id=user_id, account=account)
        for chat_id, user_id, account in found[:HEADS]
    )
    return ExportHeads(heads=heads, next=heads[-1].chat_id if len(found) > HEADS else None)


async def choose(session: AsyncSession, filters: Filters) -> Select[str]:
    """The ids of the chats, oldest first. Raises MeshError (not_found) for an unknown user."""
    wanted = select(Chat.id).order_by(Chat.created_at, Chat.id)
    if filters.user is not None:
        wanted = wanted.where(Chat.user_id.in_(await _users(session, filters.user)))
    if filters.chat is not None:
        wanted = wanted.where(Chat.id == filters.chat)
    if filters.since is not None:
        wanted = wanted.where(Chat.created_at >= filters.since)
    if filters.until is not None:
        wanted = wanted.where(Chat.created_at < filters.until)
    if filters.scored:
        voted = exists().where(Vote.message_id == Message.id, Vote.score != 0)
        wanted = wanted.where(exists().where(Message.chat_id == Chat.id, voted))
    if filters.reported:
        told = exists().where(Report.message_id == Message.id)
        wanted = wanted.where(exists().where(Message.chat_id == Chat.id, told))
    return wanted if filters.opted_out else wanted.where(Chat.allow_data_use.is_(True))


async def _users(session: AsyncSession, named: str) -> list[str]:
    users = select(User.id).where(or_(User.id == named, User.account == named))
    found = list(await session.scalars(users))
    if not found:
        raise MeshError(ErrorCode.NOT_FOUND, f"There is no user {named!r}.")
    return found
