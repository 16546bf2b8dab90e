"""Follows the log by the database's own position, batch by batch, for ever.

Asks the broker for nothing but reads: what was applied is known to the database alone, so a
crash, a redelivery or a restored backup continues exactly. Applies nothing itself (`commit.py`).
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from mesh.bus.connection import BusError
from mesh.bus.stored import Stored
from mesh.bus.tail import Head
from mesh.store import commit
from mesh.store.commit import At, Moved
from mesh.store.database import Database, sentence

T = TypeVar("T")
log = logging.getLogger(__name__)

BATCH = 512
"""Events per transaction at most: some tens of milliseconds, so that queries need not wait."""
POLL = 1.0
"""Seconds between two looks at the log when nothing wakes us."""
GATHER = 1.0
"""Seconds in which events gather before they are read: a busy log is not read one event (and one
transaction) at a time, and a short answer is one row written once. Nobody who asks waits for it.
"""
BACKOFF = (0.1, 5.0)
"""Seconds to wait after a first failure, and at most; each next one doubles."""


class Log(Protocol):
    """The events of the RUN stream, without its tokens. `mesh.bus.tail.Tail` is the real one."""

    async def read(self, after: int, limit: int) -> list[Stored]:
        """The next events beyond sequence `after`, `limit` at most, in order. Raises BusError."""

    async def head(self) -> Head:
        """The stream's identity and last sequence, by its leader. Raises BusError."""

    async def wait(self, timeout: float) -> None:
        """Return when there may be new events, at the latest after `timeout` seconds."""

    def wake(self) -> None:
        """End a `wait`, the present or the next one."""


class OutOfOrder(BusError):
    """A batch of the log came in a wrong order; it is refused and read again."""


class Follower:
    """The one task that applies the log. `applied` is the last sequence that is in the rows.

    behind: messages beyond it, tokens included, 0 once all was read; events: that it has applied;
    failures: times that it could not.
    """

    def __init__(self, database: Database, events: Log) -> None:
        self._database = database
        self._log = events
        self._at = At("", 0)
        self._changed = asyncio.Event()
        self._asked = asyncio.Event()
        self._looks_begun = 0
        self._looks_ended = 0
        self._open: tuple[int, int] | None = None
        self.behind = 0
        self.events = 0
        self.failures = 0

    @property
    def applied(self) -> int:
        return self._at.seq

    async def run(self) -> None:
        """Follow until cancelled; a transaction that is under way is finished first."""
        first, longest = BACKOFF
        pause = first
        while True:
            looks = self._looks_ended
            try:
                await self._follow()
            except Moved:
                log.info("Another store applies the log to this database as well")
            except (BusError, SQLAlchemyError, OSError) as error:
                self.failures += 1
                log.warning("The log cannot be applied, trying again: %s", sentence(error))
                pause = first if self._looks_ended > looks else min(2 * pause, longest)
                await asyncio.sleep(pause)

    async def reached(self, seq: int) -> None:
        """Wait until the log is applied up to a sequence."""
        while self.applied < seq:
            await self._hurry()

    async def caught_up(self) -> None:
        """Wait until everything is applied that stands in the log now."""
        mine = self._looks_begun + 1
        while self._looks_ended < mine:
            await self._hurry()

    async def _hurry(self) -> None:
        """Have the next step made at once, and wait for it."""
        self._asked.set()
        self._log.wake()
        await self._changed.wait()

    async def _follow(self) -> None:
        """Go on from where the database is, until something fails."""
        self._at = await whole(commit.position(self._database))
        while True:
            applied = await self._step()
            if not applied:
                await self._log.wait(POLL)
            if applied < BATCH:
                await self._gather()

    async def _gather(self) -> None:
        """Wait GATHER seconds, or until somebody asks."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER):
                await self._asked.wait()
        self._asked.clear()

    async def _step(self) -> int:
        """Apply the next batch. Returns how many events it had, 0 where there was nothing more."""
        self._looks_begun = look = self._looks_begun + 1
        batch = await self._log.read(self._at.seq, BATCH)
        head = await self._log.head()
        if head.created != self._at.log or head.last < self._at.seq:
            await self._start_over(head.created)
            self._log.wake()
            return 0
        batch = in_order(batch, self._at.seq)
        if batch:
            self._at = await whole(commit.commit(self._database, self._at, batch))
            self.events += len(batch)
        self._look_over(look, self._at.seq if batch else head.last, head.last)
        self.behind = head.last - self._at.seq if batch else 0
        self._announce()
        return len(batch)

    def _look_over(self, look: int, applied: int, end: int) -> None:
        """Note which looks have ended: all is applied that the log had then. `_open`: the first
        that has not, and the log's end at it. A busy log has more at each look, and never none."""
        first, then = self._open = self._open or (look, end)
        if applied >= then:
            self._looks_ended, self._open = (look if applied >= end else first), None

    async def _start_over(self, created: str) -> None:
        """Another stream, or one that lost its tail: what was read of it may not follow on ours.

        The head was read after the batch, so a batch that is applied came from the stream we know.
        """
        if self._at.log:
            log.warning("The log was created anew or lost its end; reading it from the beginning")
        self._open = None
        self._at = await whole(commit.start_over(self._database, self._at, created))

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def in_order(batch: Sequence[Stored], after: int) -> list[Stored]:
    """The part of a batch beyond `after`, without repetitions. Raises OutOfOrder."""
    fresh: list[Stored] = []
    for stored in batch:
        last = fresh[-1].seq if fresh else after
        if stored.seq < last and fresh:
            raise OutOfOrder(f"sequence {stored.seq} of the log came after {last}")
        if stored.seq > last:
            fresh.append(stored)
    return fresh


async def whole(work: Coroutine[None, None, T]) -> T:
    """Await something that, once begun, is finished even if we are cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
