"""Watches the whole mesh for those who look at it: what happened of late, and what is under way.

Reads the log once for all who watch, and only while somebody does. Shows nothing itself, and
knows nothing of who may see what.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from mesh.bus.connection import BusError
from mesh.bus.entries import read_event
from mesh.bus.lasting import Lasting
from mesh.bus.one_by_one import one_by_one
from mesh.bus.stored import Stored
from mesh.bus.tail import Tail
from mesh.bus.trace import working_for
from mesh.gateway.unfinished import Unfinished
from mesh.protocol import subjects
from mesh.protocol.events import Claim, LogEvent, Queued
from mesh.protocol.run import Run
from mesh.protocol.subjects import RunSubject
from mesh.protocol.tool_story import WRITER

log = logging.getLogger(__name__)

PACE = 0.5
"""Seconds between two looks at the log."""

BATCH = 1024
LOOK_BACK = 2_000
"""Sequences of the log that are read when somebody begins to watch."""

KEPT = 200
"""Events that are remembered for those who come later."""


class Happening(NamedTuple):
    """An event of the log: at which sequence and Unix time, whose, and for which tenant."""

    seq: int
    at: float
    where: RunSubject
    event: LogEvent
    tenant: str


class Lookout:
    """`happenings` and `runs` (unfinished requests by rid) are fresh while somebody watches."""

    def __init__(self, tail: Tail, unfinished: Unfinished, lasting: Lasting) -> None:
        self._tail = tail
        self._unfinished = unfinished
        self._lasting = lasting
        self._watchers = 0
        self._looking: asyncio.Task[None] | None = None
        self._tenants: dict[str, str] = {}
        self.happenings: deque[Happening] = deque(maxlen=KEPT)
        self.runs: dict[str, Run] = {}
        self.closing = asyncio.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look as long as this lasts."""
        self._watchers += 1
        if self._looking is None:
            with working_for(""):  # it goes on for others when who looked first has left
                self._looking = self._lasting.start_again(self._look)
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._looking.cancel()
                self._looking = None

    def close(self) -> None:
        """Let all who watch know that the gateway stops."""
        self.closing.set()

    async def _look(self) -> None:
        """Read on until cancelled; while the broker is away, what was seen stays."""
        self.happenings.clear()
        at: int | None = None
        while True:
            try:
                if at is None:
                    at = max(0, await self._tail.last() - LOOK_BACK)
                async for batch in self._tail.upto(await self._tail.last(), at, BATCH):
                    self._tell(batch)
                    at = batch[-1].seq
                self.runs = await self._unfinished.read()
            except BusError as error:
                log.debug("Watching the mesh: %s", error)
            await asyncio.sleep(PACE)

    def _tell(self, batch: list[Stored]) -> None:
        one_by_one(batch, self._tell_one)
        while len(self._tenants) > 10 * KEPT:
            del self._tenants[next(iter(self._tenants))]

    def _tell_one(self, stored: Stored) -> None:
        where = subjects.parse_run(stored.subject)
        event = read_event(stored) if where.reply != subjects.TOOLS else None
        if event is None or (isinstance(event, Claim) and where.writer.user == WRITER):
            return  # what a gateway claims it ends at once
        if isinstance(event, Queued):
            self._tenants[where.rid] = event.request.tenant
        tenant = self._tenants.get(where.rid, "")
        self.happenings.append(Happening(stored.seq, stored.at, where, event, tenant))
