"""Wakes those who wait for something to be told of a run, each of them, however late it looks."""

import asyncio
from contextlib import suppress


class News:
    """Of one run. `count` grows with each; read it before the story, then wait for `beyond` it."""

    def __init__(self) -> None:
        self.count = 0
        self._next = asyncio.Event()

    def tell(self) -> None:
        """Something was told."""
        self.count += 1
        self._next.set()
        self._next = asyncio.Event()

    async def beyond(self, count: int, seconds: float) -> None:
        """Wait until there are more than `count`, or so many seconds."""
        if self.count <= count:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._next.wait()
