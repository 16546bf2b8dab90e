"""Reads what is left of an answer that has ended, for who reads it slowly: a part at a time.

A follower holds an answer whole, for all who read it; nobody has to for one who reads at leisure.
Where a reading has come to in the log is kept, so that all parts together cost one reading.
"""

import asyncio
import logging

from mesh.bus.connection import BusError
from mesh.bus.entries import apply
from mesh.bus.history import anchor, last_event
from mesh.bus.jetstream import JetStream
from mesh.bus.replay import RETRY
from mesh.bus.stored import Stored
from mesh.protocol import subjects
from mesh.protocol.run import Run

log = logging.getLogger(__name__)


class Forgotten(LookupError):
    """The log does not have all of an answer any more."""


class Rest:
    """One reading of an answer. run: as far as it has come, with the pieces asked for last; reply:
    the address at which it is told.

    turn: shared by all who read so, as each holds some hundred messages of the log meanwhile.
    """

    def __init__(self, js: JetStream, rid: str, reply: str, turn: asyncio.Lock) -> None:
        self.run = Run(ids=None)
        self._js = js
        self._rid = rid
        self._reply = reply
        self._turn = turn
        self._first = 0
        self._last = 0
        self._at = 0

    async def read(self, index: int, upto: int) -> None:
        """Hold the pieces from `index` to before `upto`, and perhaps more; or all up to the end.

        An index is never before that of the last time. Tries until the broker answers; cancel it
        to give up. Raises Forgotten.
        """
        while True:
            try:
                target = await self._find()
                while self.run.count < upto and self.run.end is None:
                    async with self._turn:
                        read = await self._batch(target)
                        self._apply(read, index, upto)
                    if not read:
                        await self._check(target)
                return
            except BusError as error:
                log.debug("Reading %s on: %s", self._rid, error)
                await asyncio.sleep(RETRY)

    async def _find(self) -> int:
        """The sequence up to which the answer is; from its beginning in another log."""
        last = await last_event(self._js, self._rid, self._reply)
        if last is None:
            raise Forgotten(self._rid)
        if last.seq != self._last:
            found = await anchor(self._js, self._rid, last.seq, self._reply)
            if found is None:
                raise Forgotten(self._rid)
            if found[0].seq != self._first:
                self.run = Run(ids=None)
                self._first = self._at = found[0].seq
            self._last = last.seq
        return last.seq

    async def _batch(self, target: int) -> list[Stored]:
        log_of = subjects.log_of(self._reply)
        async for batch in self._js.read(subjects.RUN_STREAM, log_of, self._at, target):
            return batch
        return []

    def _apply(self, read: list[Stored], index: int, upto: int) -> None:
        for stored in read:
            if not apply({self._rid: self.run}, stored):
                raise Forgotten(self._rid)
            self._at = stored.seq + 1
            self.run.let_go(index)
            if self.run.count >= upto or self.run.end is not None:
                return

    async def _check(self, target: int) -> None:
        """Nothing came: raise Forgotten unless a replica has answered that lags behind."""
        log_of = subjects.log_of(self._reply)
        more = await self._js.next(subjects.RUN_STREAM, log_of, self._at)
        if more is None or more.seq > target:
            raise Forgotten(self._rid)
        await asyncio.sleep(RETRY)
