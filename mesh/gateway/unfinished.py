"""The requests that have a beginning in the log and no end, by their events alone.

Reads, for all in one gateway who want to know, and does nothing about them. As it reads everything
that befalls requests, it also notes how far chats and users are told of.
"""

import asyncio
from collections.abc import Sequence

from mesh.bus.entries import apply
from mesh.bus.one_by_one import one_by_one
from mesh.bus.stored import Stored
from mesh.bus.tail import Tail
from mesh.gateway.seen import Seen
from mesh.protocol import subjects
from mesh.protocol.events import Failed
from mesh.protocol.run import Run

BATCH = 1024


class Unfinished:
    """All of them, of all addresses.

    poisoned: those that were seen to end as poison, with the Unix time of that; whoever sees to
    them takes them out, and who does not lets them go by `forget`. seen: the last event of each
    chat and user, as far as was read. whole: all of the log was read once.
    """

    def __init__(self, tail: Tail) -> None:
        self._tail = tail
        self._reading = asyncio.Lock()
        self._begun = self._done = 0
        self.seen = Seen()
        self._created = ""
        self._at = 0
        self._heard = 0
        self._runs: dict[str, Run] = {}
        self.poisoned: dict[str, float] = {}

    async def read(self) -> dict[str, Run]:
        """All of them, once all was read that stands in the log now. Raises BusError."""
        await self.catch_up()
        return dict(self._runs)

    @property
    def whole(self) -> bool:
        """Whether the log was read from its beginning to its end once."""
        return self._done > 0

    async def catch_up(self) -> None:
        """Read on, from the last time to where the log ends now. Raises BusError.

        The first time is from the log's beginning; whoever comes meanwhile waits for that. One
        reading serves all who asked before it began.
        """
        wanted = self._begun + 1
        async with self._reading:
            if self._done >= wanted:
                return
            self._begun = number = self._begun + 1
            head = await self._tail.head()
            if head.created != self._created or head.last < self._at:  # replaced, or restored
                self._start_over()
                self._created = head.created
            async for batch in self._tail.upto(head.last, self._at, BATCH):
                self._apply(batch)
            self._done = number

    def hear(self, after: int, batch: Sequence[Stored]) -> None:
        """What another has read of the log beyond a sequence, to be spared reading it again.

        Of no use while we read ourselves, or where something between is missing.
        """
        if after < self._heard:  # the other one went back: the log was replaced
            self._start_over()
        self._heard = batch[-1].seq
        if after <= self._at < batch[-1].seq and not self._reading.locked():
            self._apply([stored for stored in batch if stored.seq > self._at])

    def forget(self, before: float) -> None:
        """Let go of what ended as poison before a time: another has seen to that long ago."""
        self.poisoned = {rid: at for rid, at in self.poisoned.items() if at >= before}

    def _start_over(self) -> None:
        self._at, self._runs = 0, {}
        self.seen.clear()  # the store can never come to the sequences of another log

    def _apply(self, batch: Sequence[Stored]) -> None:
        one_by_one(batch, self._apply_one)
        # Of what the log has forgotten the beginning, nothing can be done about it; and behind an
        # end that was read before there may come that the answer was deleted.
        self._runs = {rid: run for rid, run in self._runs.items() if run.queued and not run.end}
        self._at = batch[-1].seq

    def _apply_one(self, stored: Stored) -> None:
        where = subjects.parse_run(stored.subject)
        if where.reply not in subjects.NO_REQUESTS:
            run = self._runs.setdefault(where.rid, Run(bare=True))
            apply(self._runs, stored)
            if run.queued is not None and run.queued.turn is not None:
                self.seen.note(run.queued.turn, stored.seq)
            if _is_poison(run):
                self.poisoned.setdefault(where.rid, stored.at)


def _is_poison(run: Run) -> bool:
    return isinstance(run.end, Failed) and run.end.poison
