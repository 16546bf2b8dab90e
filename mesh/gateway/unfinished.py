"""The requests that have a beginning in the log and no end, by their events alone.

Reads, and does nothing about them.
"""

from mesh.bus.replay import apply
from mesh.bus.tail import Tail
from mesh.protocol import subjects
from mesh.protocol.messages import Failed
from mesh.protocol.run import Run

BATCH = 1024


class Unfinished:
    """All of them, or with `reply` those of one address.

    poisoned: those that were seen to end as poison; whoever sees to them empties it.
    """

    def __init__(self, tail: Tail, reply: str = "") -> None:
        self._tail = tail
        self._reply = reply
        self._at = 0
        self._runs: dict[str, Run] = {}
        self.poisoned: list[str] = []

    async def read(self) -> dict[str, Run]:
        """Read on, from the last time to the log's end. Raises BusError."""
        if await self._tail.last() < self._at:  # the log was replaced, or restored from a backup
            self._at, self._runs = 0, {}
        while batch := await self._tail.read(self._at, BATCH):
            for stored in batch:
                where = subjects.parse_run(stored.subject)
                if self._reply in ("", where.reply) and where.reply != subjects.FLEET:
                    self._runs.setdefault(where.rid, Run(bare=True))
                    apply(self._runs, stored)
            self.poisoned += [rid for rid, run in self._runs.items() if _is_poison(run)]
            self._runs = {rid: run for rid, run in self._runs.items() if run.end is None}
            self._at = batch[-1].seq
        # Of some the log has forgotten the beginning; nothing can be done about them.
        return {rid: run for rid, run in self._runs.items() if run.queued is not None}


def _is_poison(run: Run) -> bool:
    return isinstance(run.end, Failed) and run.end.poison
