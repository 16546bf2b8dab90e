"""Finds what was made under an idempotency key before: the key is the first half of its id."""

from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.once import HALF
from mesh.store.models import Chat, DeletedChat
from mesh.store.thread_models import Assistant, Thread

Made = TypeVar("Made", Chat, DeletedChat, Thread, Assistant)

ELSEWHERE = "This idempotency key was used with another body or on another route; use a new key."
BEYOND = "g"
"""Greater than any digit of an id."""


async def made(session: AsyncSession, kind: type[Made], id: str, prefix: str = "") -> Made | None:
    """What has the id already; None for "", or if nothing was made under its key.

    Raises MeshError (conflict) if something else was.
    """
    if not id:
        return None
    key = prefix + id[:HALF]
    wanted = select(kind).where(kind.id >= key, kind.id < key + BEYOND).limit(1)
    row = await session.scalar(wanted)
    if row is not None and row.id != prefix + id:
        raise MeshError(ErrorCode.CONFLICT, ELSEWHERE)
    return row
