"""One request as a follower keeps it, and those who wait for it to change."""

import asyncio
from collections.abc import Callable

from mesh.bus.stored import Stored
from mesh.protocol.run import Run


class Track:
    """One request being followed: its state, and those who wait for it to change.

    start: a sequence from which its whole story can be read; held: messages that came while the
    story was being read, to be applied after it; landed: we have stored its first event, heard of
    or not; item: its sequence in the queue, if we put it there, else 0; counted: that of the last
    frame that counted.
    """

    def __init__(self, rid: str, start: int) -> None:
        self.rid = rid
        self.start = start
        self.run = Run()
        self.readers = 0
        self.held: list[Stored] | None = None
        self.landed = False
        self.item = 0
        self.counted = 0
        self._loop = asyncio.get_running_loop()
        self._waiters: list[asyncio.Future[None]] = []

    def changed(self) -> asyncio.Future[None]:
        """A future that is done at the next change. Look at `run` first, then await this."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(future)
        return future

    async def until(self, holds: Callable[[Run], bool]) -> None:
        """Wait until something holds of the run."""
        while not holds(self.run):
            await self.changed()

    def wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for future in waiters:
            if not future.done():
                future.set_result(None)
