"""The events of the whole log, in order, for those who keep a position of their own.

Reads by sequence and needs no consumer at the broker; the live subjects only say when to look,
and are listened to only while somebody waits: who reads on anyhow needs no message per event.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from nats.aio.msg import Msg

from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.log_end import Head as Head
from mesh.bus.log_end import LogEnd
from mesh.bus.overheard import Overheard
from mesh.bus.stored import Stored
from mesh.protocol import subjects

LAG = 0.05
"""Seconds until the log is read again after a replica has answered that was behind."""

ON_ITS_WAY, GLANCE = 0.02, 0.002
"""Seconds that a message may take from the log to us before it is read there, and between two looks
whether it has come."""


class Tail:
    """All events (of requests and of workers), by sequence; with `tokens` the frames as well.

    overheard: what this process has heard of the events live.
    """

    def __init__(
        self,
        bus: Bus,
        js: JetStream,
        tokens: bool = False,
        overheard: Overheard | None = None,
    ) -> None:
        self._overheard = None if tokens else overheard
        self._bus = bus
        self._js = js
        self._end = LogEnd(js)
        self._subject = subjects.RUN_ALL if tokens else subjects.RUN_EVENTS
        self._live = subjects.LIVE_ALL if tokens else subjects.LIVE_EVENTS
        self._news = asyncio.Event()
        self._belled = False
        self._bus.on_doubt(self.wake)

    async def head(self) -> Head:
        """The end of the stream, as its leader has it; never before what was read of it, unless it
        was replaced, or has lost its end. Raises BusError."""
        head = await self._end.ask()
        if self._end.lost:
            self._end.lost = False
            if self._overheard is not None:  # no connection need have broken
                self._overheard.lost()
        return head

    async def last(self) -> int:
        """The leader's last sequence (tokens included), 0 where there is none. Raises BusError."""
        return await self._js.end(subjects.RUN_STREAM)

    async def read(self, after: int, limit: int) -> list[Stored]:
        """The next events after a sequence, `limit` at most; less only where the leader has no
        more. Raises BusError."""
        found: list[Stored] = []
        upto = await self.last()
        while True:
            async for batch in self._js.read(subjects.RUN_STREAM, self._subject, after + 1, upto):
                found += batch
                after = batch[-1].seq
                self._end.heard(after)
                if len(found) >= limit:
                    return found[:limit]
            if after >= upto:
                return found
            more = await self._js.next(subjects.RUN_STREAM, self._subject, after + 1)
            if more is None or more.seq > upto:
                return found
            await asyncio.sleep(LAG)

    async def upto(self, end: int, after: int, limit: int) -> AsyncIterator[list[Stored]]:
        """The events after a sequence as far as `end`, or a little further, `limit` at a time.

        For who reads to the log's end: a busy log has more at each look, and never none. Raises
        BusError.
        """
        until = asyncio.get_running_loop().time() + ON_ITS_WAY
        while after < end:
            batch = await self._heard(after, end, limit, until)
            if batch is None:
                batch = await self.read(after, limit)
            if not batch:
                return
            yield batch
            after = batch[-1].seq

    async def _heard(self, after: int, end: int, limit: int, until: float) -> list[Stored] | None:
        """What need not be read of that; None where it has to be. What was stored just now may
        still be on its way to us, and is waited for `until` then (by the loop's time)."""
        overheard = self._overheard
        if overheard is None:
            return None
        while (found := overheard.between(after, end)) is None:
            if not overheard.covers(after) or asyncio.get_running_loop().time() > until:
                return None
            await asyncio.sleep(GLANCE)
        self._end.heard(end)
        return found[:limit]

    async def wait(self, timeout: float) -> None:
        """Wait until something new may be there, at most `timeout` seconds. Raises BusError.

        Begins by hanging up the bell, where it has rung, and returns at once then: what came
        before it hung did not ring.
        """
        if not self._belled:
            self._belled = True
            await self._bus.listen_once(self._live, self._ring)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._news.wait()
        self._news.clear()

    def wake(self) -> None:
        """End a `wait`, the present or the next one."""
        self._news.set()

    def _ring(self, msg: Msg) -> None:
        self._belled = False
        self.wake()
