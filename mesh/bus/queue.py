"""Looks at what lies in the queue, item by item. Changes nothing.

The broker tells of an item no less than all of it, which may be a long conversation. So whoever
asks again and again keeps an `Inventory`.
"""

import logging
import time
from collections.abc import AsyncIterator, Collection

import msgspec
from msgspec import Struct

from mesh.bus.jetstream import JetStream, StreamInfo
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.messages import Wire

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
        try:
            rid = decode(item.data, _Item).request.rid
        except msgspec.DecodeError as error:
            log.warning("The queue's item %d cannot be read: %s", item.seq, error)
            rid = ""
        yield item.seq, rid


class _Seen:
    """What was found under a subject: request ids by sequence, read up to `at`. over: items whose
    requests were over at the last look."""

    def __init__(self) -> None:
        self.items: dict[int, str] = {}
        self.at = 0
        self.over: set[int] = set()

    def lying(self, last: int, alive: Collection[str]) -> int:
        """How many items up to `last` should be there: all but those whose requests are over.

        Those are taken out by themselves. They are forgotten at the second look: what is read of
        the log may be a moment old, and know of the newest requests only later.
        """
        over = {seq for seq, rid in self.items.items() if seq <= last and rid and rid not in alive}
        for seq in over & self.over:
            del self.items[seq]
        self.over = over
        return sum(seq <= last and seq not in over for seq in self.items)


class Inventory:
    """Which requests lie in the queue, for whoever asks about the same subjects over and over.

    Each item is read once. That one has been taken out, the number of them tells; which one, only
    reading them anew. `until`: how long it may read on, time.monotonic(); the next call goes on.
    """

    def __init__(self, js: JetStream) -> None:
        self._js = js
        self._created = ""
        self._seen: dict[str, _Seen] = {}

    async def under(
        self, subject: str, info: StreamInfo, alive: Collection[str], until: float
    ) -> set[str] | None:
        """The ids of the requests that lie under a subject; None where it is not known yet.

        info: of the queue, with the subject's number, from before `alive` was read, which are the
        requests that are not over. Raises BusError.
        """
        if info.created != self._created:  # replaced, or restored: other items have these numbers
            self._created, self._seen = info.created, {}
        seen = self._seen.setdefault(subject, _Seen())
        if not await self._read_on(subject, seen, until):
            return None
        there = info.state.subjects.get(subject, 0)
        if seen.lying(info.state.last_seq, alive) > there:
            log.debug("Something was taken out under %s: looking at it anew", subject)
            seen = self._seen[subject] = _Seen()
            if not await self._read_on(subject, seen, until):
                return None
        return set(seen.items.values())

    def forget_all_but(self, asked: Collection[str]) -> None:
        """Keep only what was found under these subjects."""
        self._seen = {subject: self._seen[subject] for subject in asked if subject in self._seen}

    async def _read_on(self, subject: str, seen: _Seen, until: float) -> bool:
        """Read what has come since the last time; whether that was all."""
        async for seq, rid in _items(self._js, subject, seen.at + 1):
            seen.items[seq], seen.at = rid, seq
            if time.monotonic() >= until:
                return False
        return True
