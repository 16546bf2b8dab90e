"""Chats as JSON lines, straight from the database file, which is only read.

Works while the store runs, and when it does not.
"""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from msgspec import Struct
from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol import chats as wire
from mesh.protocol.codec import encode
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.store import schema, view
from mesh.store.database import READ_ONLY, Database
from mesh.store.models import Chat, User
from mesh.store.queries.messages import page

BATCH = 50
"""Chats whose head is read at once."""


class Filters(Struct, frozen=True, kw_only=True):
    """Which chats. user: an id, or the account's name; since, until: Unix time of creation.

    Chats whose owner does not allow the use of their data are left out, unless `opted_out`.
    """

    user: str | None = None
    chat: str | None = None
    since: float | None = None
    until: float | None = None
    opted_out: bool = False


class ExportedChat(Struct, frozen=True, kw_only=True):
    """One line: a chat, whose it is, and its messages; their parent_id makes them a tree."""

    user_id: str
    account: str
    chat: wire.Chat
    messages: list[wire.ChatMessage]


async def export(path: Path, filters: Filters, now: float) -> AsyncGenerator[bytes, None]:
    """One JSON line per chat, oldest first. `now` decides which open answers are overdue.

    Raises MeshError where the file is no database of this version, or the user is unknown.
    """
    if not path.is_file():
        raise MeshError(
            ErrorCode.NOT_FOUND,
            f"There is no database at {path}; name it with --database or MESH_DATABASE.",
        )
    await asyncio.to_thread(schema.check, path)
    database = Database(path, READ_ONLY)
    try:
        async with database.read() as session:
            for chat_id in await session.scalars(await _wanted(session, filters)):
                exported = await _exported(session, chat_id, now)
                yield encode(exported) + b"\n"
    finally:
        await database.close()


async def _wanted(session: AsyncSession, filters: Filters) -> Select[str]:
    wanted = select(Chat.id).order_by(Chat.created_at, Chat.id)
    if filters.user is not None:
        named = or_(User.id == filters.user, User.account == filters.user)
        users = list(await session.scalars(select(User.id).where(named)))
        if not users:
            raise MeshError(ErrorCode.NOT_FOUND, f"There is no user {filters.user!r}.")
        wanted = wanted.where(Chat.user_id.in_(users))
    if filters.chat is not None:
        wanted = wanted.where(Chat.id == filters.chat)
    if filters.since is not None:
        wanted = wanted.where(Chat.created_at >= filters.since)
    if filters.until is not None:
        wanted = wanted.where(Chat.created_at < filters.until)
    return wanted if filters.opted_out else wanted.where(Chat.allow_data_use.is_(True))


async def _exported(session: AsyncSession, chat_id: str, now: float) -> ExportedChat:
    chat = await session.get_one(Chat, chat_id)
    user = await session.get_one(User, chat.user_id)
    messages: list[wire.ChatMessage] = []
    last, more = None, True
    while more:
        found, more = await page(session, chat, last, now)
        messages += found
        last = (found[-1].created_at, found[-1].id) if found else None
    session.expunge_all()
    return ExportedChat(
        user_id=user.id, account=user.account, chat=view.chat(chat), messages=messages
    )
