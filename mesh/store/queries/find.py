"""Finds what a query names, or refuses: unknown and somebody else's look the same."""

from sqlalchemy.ext.asyncio import AsyncSession

from mesh.store.models import Chat, Message, User
from mesh.store.refusals import no_such, not_there_yet


async def user(session: AsyncSession, user_id: str) -> User:
    """Raises MeshError (not_found)."""
    row = await session.get(User, user_id)
    if row is None:
        raise no_such("user")
    return row


async def chat(session: AsyncSession, user_id: str, chat_id: str) -> Chat:
    """A chat of this user. Raises MeshError (not_found)."""
    row = await session.get(Chat, chat_id)
    if row is None or row.user_id != user_id:
        raise no_such("chat")
    return row


async def message(session: AsyncSession, user_id: str, chat_id: str, message_id: str) -> Message:
    """A message of a chat of this user. Raises MeshError (not_found)."""
    await chat(session, user_id, chat_id)
    row = await session.get(Message, message_id)
    if row is None or row.chat_id != chat_id:
        raise not_there_yet("message")
    return row
