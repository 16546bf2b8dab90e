"""Chats as JSON lines, straight from the database file, which is only read.

Works while the store runs, and when it does not.
"""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol import chats as wire
from mesh.protocol.codec import encode
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.exports import Anonymous, ExportedChat, Filters, with_content
from mesh.store import schema, view
from mesh.store.database import READ_ONLY, Database
from mesh.store.models import Chat, User
from mesh.store.queries.exports import choose
from mesh.store.queries.messages import page


async def export(
    path: Path, filters: Filters, now: float, anonymous: Anonymous | None = None
) -> AsyncGenerator[bytes, None]:
    """One JSON line per chat, oldest first. `now` decides which open answers are overdue.

    Messages that say nothing are left out, save of one's own. anonymous: takes the names out.
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
            for chat_id in await session.scalars(await choose(session, filters)):
                line = await _exported(session, chat_id, now, filters.opted_out)
                yield encode(line if anonymous is None else anonymous.chat(line)) + b"\n"
    finally:
        await database.close()


async def _exported(
    session: AsyncSession, chat_id: str, now: float, everything: bool
) -> ExportedChat:
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
        user_id=user.id,
        account=user.account,
        chat=view.chat(chat),
        messages=tuple(messages) if everything else with_content(messages),
    )
