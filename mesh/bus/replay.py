"""Reads requests' stories from the stored log: one shared pass for all who ask at once.

Not live: what a replay returns holds everything that was stored before it was asked for.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from math import inf

from mesh.bus.connection import BusError
from mesh.bus.entries import apply
from mesh.bus.jetstream import WHATEVER_COMES, JetStream
from mesh.bus.log_end import LASTS, Outdated
from mesh.protocol import subjects
from mesh.protocol.events import Queued
from mesh.protocol.run import Run

log = logging.getLogger(__name__)

RETRY = 0.2
"""Seconds between two tries of a read that failed."""


@dataclass
class _Pass:
    """One pass over an address: the requests wanted, from which sequence on, and up to where.

    known: the last sequence that somebody who asks knows to be there, 0 where nobody does; failed:
    why it came to nothing, for all who share it.
    """

    start: int
    upto: int = 0
    known: int = 0
    runs: dict[str, Run] = field(default_factory=dict)
    finished: bool = False
    failed: Outdated | None = None


class Replays:
    """The replayers of all addresses, one for each."""

    def __init__(self, js: JetStream) -> None:
        self._js = js
        self._of: dict[str, Replayer] = {}

    async def run(self, rid: str, queued: Queued, start: int, upto: int = WHATEVER_COMES) -> Run:
        """The state of a request as in `Replayer.run`; queued: its first event, at `start`.

        Raises Outdated.
        """
        reply = queued.request.reply
        replayer = self._of.setdefault(reply, Replayer(self._js, reply))
        try:
            return await replayer.run(rid, start, upto)
        finally:
            if replayer.idle:
                self._of.pop(reply, None)


class Replayer:
    """Replays requests of one reply address; those who ask while it reads share the next pass."""

    def __init__(self, js: JetStream, reply: str) -> None:
        self._js = js
        self._reply = reply
        self._next: _Pass | None = None
        self._busy = asyncio.Lock()

    @property
    def idle(self) -> bool:
        """Whether nobody reads, or waits to."""
        return self._next is None and not self._busy.locked()

    async def run(self, rid: str, start: int, upto: int = WHATEVER_COMES, known: int = 0) -> Run:
        """The state of a request whose first event is at `start`, or after it, as it stood at
        `upto` or later. upto: a sequence of this address that was stored, or WHATEVER_COMES; then
        `known` is one that was stored, of whatever address.

        Tries until the log was read; cancel it to give up. Raises Outdated where the log's leader
        has lacked `upto`, or `known`, for LASTS seconds.
        """
        if self._next is None:
            self._next = _Pass(start)
        wanted = self._next
        wanted.start, wanted.upto = min(wanted.start, start), max(wanted.upto, upto)
        wanted.known = max(wanted.known, known if upto == WHATEVER_COMES else upto)
        wanted.runs.setdefault(rid, Run())
        async with self._busy:
            if self._next is wanted:
                self._next = None
            if wanted.failed is not None:
                raise wanted.failed
            if not wanted.finished:
                await self._read(wanted)
        return wanted.runs[rid]

    async def _read(self, wanted: _Pass) -> None:
        """Apply the address, to where the leader says it ends at most: a replica may lag behind."""
        log_of, clock = subjects.log_of(self._reply), asyncio.get_running_loop().time
        at, target, lacked = wanted.start, None, inf
        while target is None or at <= target:
            try:
                if target is None:
                    target = min(wanted.upto, await self._end(wanted.known))
                    lacked = inf
                async for batch in self._js.read(subjects.RUN_STREAM, log_of, at, target):
                    for stored in batch:
                        apply(wanted.runs, stored, in_order=True)
                    at = batch[-1].seq + 1
                    if all(run.end is not None for run in wanted.runs.values()):
                        target = at - 1  # what comes after an end counts for nothing
                        break
                if at <= target:
                    more = await self._js.next(subjects.RUN_STREAM, log_of, at)
                    if more is not None and more.seq <= target:
                        at = more.seq
                    elif at > wanted.known or not await self._ours(wanted.known):
                        break
                    await asyncio.sleep(RETRY)  # a replica that lags behind has answered
            except Outdated as error:
                lacked = min(lacked, clock())
                if clock() - lacked > LASTS:
                    wanted.failed = error
                    raise
                await asyncio.sleep(RETRY)
            except BusError as error:
                lacked = inf  # who says nothing does not say that it lacks anything
                log.debug("Replaying %s: %s", self._reply, error)
                await asyncio.sleep(RETRY)
        for run in wanted.runs.values():
            run.read_upto = target or 0
        wanted.finished = True

    async def _end(self, known: int) -> int:
        """Where the log ends. Raises Outdated where it is said to end before what is known of it:
        by a leader that has just become one, in a cluster that comes together again."""
        end = await self._js.end(subjects.RUN_STREAM)
        if end < known:
            raise Outdated(f"the log is said to end at {end}, and {known} was there")
        return end

    async def _ours(self, known: int) -> bool:
        """Whether a message is one of this address. Raises Outdated where the leader lacks it."""
        stored = await self._js.get(subjects.RUN_STREAM, known)
        if stored is None:
            raise Outdated(f"the log is said to lack {known}, and it was there")
        return subjects.parse_run(stored.subject).reply == self._reply
