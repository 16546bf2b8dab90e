"""Finds what a query names, or refuses: unknown and somebody else's look the same."""

import unicodedata

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.store.models import Chat, Message, User
from mesh.store.refusals import no_such, not_there_yet
from mesh.store.thread_models import Assistant, AssistantUser, Thread, ThreadParticipant

PASSWORD = "password"
"""The provider of those who sign in with a name and a password of this mesh."""


async def user(session: AsyncSession, user_id: str) -> User:
    """Raises MeshError (not_found)."""
    row = await session.get(User, user_id)
    if row is None:
        raise no_such("user")
    return row


async def person(session: AsyncSession, named: str) -> User:
    """A user by id, by the name they sign in with, or by `provider:account`.

    Raises MeshError (not_found).
    """
    provider, colon, account = named.partition(":")
    if not colon:
        provider, account = PASSWORD, account_name(named)
    typed = select(User).where(User.provider == provider, User.account == account)
    row = await session.get(User, named) or await session.scalar(typed)
    if row is None:
        raise MeshError(
            ErrorCode.NOT_FOUND, f"There is no user {named!r}; `mesh user list` shows them."
        )
    return row


def account_name(typed: str) -> str:
    """The name to sign in with, in the one spelling that is kept."""
    return unicodedata.normalize("NFKC", typed).strip().casefold()


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


async def thread(session: AsyncSession, user_id: str, thread_id: str) -> Thread:
    """A thread that this user takes part in. Raises MeshError (not_found)."""
    row = await session.get(Thread, thread_id)
    if row is None or await session.get(ThreadParticipant, (thread_id, user_id)) is None:
        raise no_such("thread")
    return row


async def assistant(session: AsyncSession, user_id: str, assistant_id: str) -> Assistant:
    """An assistant of this user's own, or shared with them. Raises MeshError (not_found)."""
    row = await session.get(Assistant, assistant_id)
    if row is not None and row.owner != user_id:
        shared = await session.get(AssistantUser, (assistant_id, user_id))
        row = row if shared is not None else None
    if row is None:
        raise no_such("assistant")
    return row
