"""Reads bodies with large schemas beside the event loop: nobody else's answer waits for them."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import msgspec
from msgspec import Struct

T = TypeVar("T")

LIGHT = 200
"""Weight up to which a body is read at once: that takes some milliseconds."""
TOGETHER = 2
"""Bodies that are read beside the loop at a time: each takes the interpreter from it in turns."""
COUNTED = ("minLength", "maxLength", "minItems", "maxItems")
"""What a schema may have so many of costs as much as if it were written out."""
MOST = 1000


class Aside:
    """Reads heavy bodies one by one for each user, and few at a time."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(TOGETHER)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def read(self, user: str, data: bytes, read: Callable[[], T], kept: bytes = b"") -> T:
        """What `read` makes of a body. data: the body itself; kept: what it takes from the store
        besides, as a body has that. Raises what `read` raises."""
        if weight(data) <= LIGHT and (not kept or weight(kept) <= LIGHT):
            return read()
        turn = self._turns.setdefault(user, asyncio.Lock())
        async with turn, self._room:
            return await asyncio.to_thread(read)


class _Schemas(Struct):
    """Where bodies have schemas."""

    tools: Any = None
    function: Any = None
    response_format: Any = None
    text: Any = None


def weight(data: bytes) -> int:
    """How much of schemas a body has: their values, and what is to be repeated. It is not counted
    much beyond LIGHT; of a body that is no JSON, which is soon refused, 0.
    """
    try:
        found = msgspec.json.decode(data, type=_Schemas)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    waiting: list[object] = [found.tools, found.function, found.response_format, found.text]
    total = 0
    while waiting and total <= LIGHT:
        value = waiting.pop()
        if isinstance(value, dict):
            total += len(value) + sum(_times(value.get(name)) for name in COUNTED)
            waiting += value.values()
        elif isinstance(value, list):
            total += len(value)
            waiting += value
    return total


def _times(count: object) -> int:
    return min(count, MOST) if isinstance(count, int) and count > 0 else 0
