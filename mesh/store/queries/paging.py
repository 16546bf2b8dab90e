"""How many rows one reply holds, and one person may keep."""

from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol.codec import encode
from mesh.store.refusals import bad
from mesh.store.thread_models import Assistant, KeptTool

T = TypeVar("T", bound=Struct)

PAGE_BYTES = 4 << 20
"""What one reply holds at most (a longer row alone), for the broker's messages are limited to
twice as much."""

MOST_LISTED = 100
MOST_KEPT = 1_000
"""Assistants, or tools, that one may have: what a program makes, it has to delete."""


def check_limit(limit: int, most: int = MOST_LISTED) -> None:
    """Raises MeshError (bad_request)."""
    if not 1 <= limit <= most:
        raise bad(f"limit must be between 1 and {most}.", "limit")


def page(found: Sequence[T], limit: int) -> tuple[tuple[T, ...], bool]:
    """The first of what was found, as many as were asked for and fit into one message of the
    broker, but at least one; and whether there are more."""
    sizes = accumulate(len(encode(each)) for each in found[:limit])
    count = max(1, sum(1 for size in sizes if size <= PAGE_BYTES))
    return tuple(found[:count]), len(found) > count


async def check_room(
    session: AsyncSession, kind: type[Assistant] | type[KeptTool], owner: str
) -> None:
    """Raises MeshError (bad_request) if somebody has as many as one may."""
    owned = select(func.count()).select_from(kind).where(kind.owner == owner)
    if (await session.scalar(owned) or 0) >= MOST_KEPT:
        raise bad(f"One may keep {MOST_KEPT:,} of these; delete some.")
