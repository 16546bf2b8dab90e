"""Looks at what lies in the queue, item by item. Changes nothing.

The broker tells of an item no less than all of it, which may be a long conversation. So whoever
asks again and again keeps an `Inventory`.
"""

import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Collection

import msgspec
from msgspec import Struct

from mesh.bus.api import StreamInfo
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import Stored
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.wire import Wire

log = logging.getLogger(__name__)


class _Whose(Struct):
    rid: str


class _Item(Wire, frozen=True, kw_only=True, tag="prompt"):
    """What is read of a `Prompt`: the conversation in it is passed over."""

    request: _Whose


async def _items(js: JetStream, subject: str, start: int) -> AsyncIterator[tuple[int, str]]:
    """Sequences and request ids of the items from `start` on; "" where one cannot be read."""
    while (item := await js.next(subjects.REQ_STREAM, subject, start)) is not None:
        start = item.seq + 1
        yield item.seq, _rid(item)


def _rid(item: Stored) -> str:
    try:
        return decode(item.data, _Item).request.rid
    except msgspec.DecodeError as error:
        log.warning("The queue's item %d cannot be read: %s", item.seq, error)
        return ""


class Inventory:
    """Where requests lie in the queue, for whoever asks about them over and over.

    Each item is read once to learn whose it is; whether one that is known still lies there, one
    more reading of it tells, and nothing else does: how many there are hides one that is missing
    behind one that is new, or over and not acknowledged yet. Call `begin` before each round.
    """

    def __init__(self, js: JetStream) -> None:
        self._js = js
        self._created = ""
        self._last = 0
        self._read: dict[str, int] = {}
        self._places: defaultdict[str, set[int]] = defaultdict(set)
        self._sure: set[str] = set()

    def begin(self, info: StreamInfo, alive: Collection[str]) -> None:
        """Begin with a queue as it is now. alive: the requests that were not over after the round
        before; nobody asks for others again.

        A queue that was replaced or restored gives its sequences to other items.
        """
        self._last, self._sure = info.state.last_seq, set()
        if info.created != self._created or self._last < max(self._read.values(), default=0):
            self._created, self._read = info.created, {}
            self._places.clear()
        for rid in [rid for rid in self._places if rid not in alive]:
            del self._places[rid]

    def knows(self, rid: str) -> bool:
        """Whether a place is known where a request lay when that was looked at."""
        return bool(self._places.get(rid))

    async def has(self, rid: str, under: Collection[str], place: int, until: float) -> bool | None:
        """Whether a request lies under one of the subjects; None where there was no time to tell.

        place: the sequence at which somebody says that it lies, or 0; until: how long new items
        may be read, by time.monotonic(); the next call goes on. Raises BusError.
        """
        if rid in self._sure:
            return True
        said = {place} if 0 < place <= self._last else set()
        for seq in said | self._places[rid]:
            item = await self._js.get(subjects.REQ_STREAM, seq)
            if item is not None and item.subject in under and _rid(item) == rid:
                self._places[rid].add(seq)
                self._sure.add(rid)
                return True
            self._places[rid].discard(seq)
        for subject in under:
            if not await self._read_on(subject, until):
                return None
        return rid in self._sure

    async def _read_on(self, subject: str, until: float) -> bool:
        """Read what has come since the last time; whether that was all."""
        async for seq, rid in _items(self._js, subject, self._read.get(subject, 0) + 1):
            self._read[subject] = seq
            if rid:
                self._places[rid].add(seq)
                self._sure.add(rid)
            if time.monotonic() >= until:
                return False
        return True
