"""Writes the pieces of a worker's answers into the log: as frames, in a chain, one at a time."""

import asyncio
import logging
from contextlib import suppress

from mesh.bus.appender import RETRY, UNANSWERED
from mesh.bus.jetstream import WRONG_LAST, ApiError, JetStream, fence
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.messages import Entry, Frame, Odds
from mesh.protocol.subjects import Writer

log = logging.getLogger(__name__)

FRAME_BYTES = 256 << 10
"""Bytes of a frame, about; what is more goes into the next. A broker takes many times as much."""

BACKLOG = 20_000
"""Pieces waiting to be stored, over all requests, at which the engine has to wait."""

PACE = 0.03
"""Seconds from one frame to the next, while no answer waits to begin or to end.

A frame costs the processes on its way about a millisecond of CPU between them, whether it carries
one token or a hundred; a reader sees no difference between 33 frames a second and 1,000.
"""


class _Open:
    """An entry that still grows. ids is None once a piece came without them."""

    __slots__ = ("ids", "index", "odds", "texts")

    def __init__(self, index: int) -> None:
        self.index = index
        self.texts: list[str] = []
        self.ids: list[tuple[int, ...]] | None = []
        self.odds: list[Odds] = []

    def size(self) -> int:
        """About how many bytes it takes in a frame."""
        odds = sum(24 * len(each.top) + 24 for each in self.odds)
        return sum(map(len, self.texts)) + 16 * len(self.texts) + 48 + odds

    def cut(self, keep: int) -> "_Open":
        """Keep the first pieces only; an entry of the others."""
        rest = _Open(self.index + keep)
        self.texts, rest.texts = self.texts[:keep], self.texts[keep:]
        self.odds, rest.odds = self.odds[:keep], self.odds[keep:]
        if self.ids is None:
            rest.ids = None
        else:
            self.ids, rest.ids = self.ids[:keep], self.ids[keep:]
        return rest


class FrameWriter:
    """Appends one process's tokens for one reply address: one frame in flight, in one chain.

    What is put while a frame is under way goes into the next: a message per token when it is
    quiet, bigger ones under load. Frames are PACE apart, but whatever begins or ends an answer is
    sent at once.
    """

    def __init__(self, js: JetStream, reply: str, writer: Writer) -> None:
        self._js = js
        self._subject = subjects.tokens(reply, writer)
        self._last = 0
        self._open: dict[tuple[str, int], _Open] = {}
        self._put = 0
        self._stored = 0
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._progress = asyncio.Event()

    @property
    def mark(self) -> int:
        """Pieces put so far; hand it to `stored` to wait for them."""
        return self._put

    @property
    def longest(self) -> int:
        """Bytes that an answer may come to. Its end has its text, and whoever takes it over is sent
        all of it, in one message each; what is missing to the broker's limit is for its last piece.
        """
        return self._js.bus.max_payload * 3 // 4

    @property
    def full(self) -> bool:
        """Whether more than BACKLOG pieces are not stored yet."""
        return self._put - self._stored > BACKLOG

    def put(
        self,
        rid: str,
        n: int,
        index: int,
        text: str,
        ids: tuple[int, ...] | None,
        odds: Odds | None = None,
    ) -> None:
        """Add the piece `index` of a request's answer, written under claim `n`.

        odds: with every piece of an answer, or with none.
        """
        pen = (rid, n)
        entry = self._open.get(pen)
        if entry is None:
            entry = self._open[pen] = _Open(index)
            self._wake.set()
            if index == 0:
                self._hurry.set()
        entry.texts.append(text)
        if odds is not None:
            entry.odds.append(odds)
        if ids is None:
            entry.ids = None
        elif entry.ids is not None:
            entry.ids.append(ids)
        self._put += 1

    async def room(self) -> None:
        """Wait while it is `full`."""
        while self.full:
            self._hurry.set()
            self._progress.clear()
            await self._progress.wait()

    async def stored(self, mark: int) -> None:
        """Wait until the first `mark` pieces are in the log."""
        while self._stored < mark:
            self._hurry.set()
            self._progress.clear()
            await self._progress.wait()

    async def run(self) -> None:
        """Write frames until cancelled."""
        clock = asyncio.get_running_loop().time
        due = 0.0
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._open:
                await self._pause(due)
                due = clock() + PACE
                frame = self._take()
                await self._append(frame)
                self._stored += sum(len(entry.texts) for entry in frame.entries)
                self._progress.set()

    async def _pause(self, due: float) -> None:
        """Wait until the loop's time is `due`, or there is a reason to hurry."""
        if not self._hurry.is_set() and asyncio.get_running_loop().time() < due:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._hurry.wait()
        self._hurry.clear()

    def _take(self) -> Frame:
        size, taken = 0, []
        odds: list[list[Odds]] = []
        for pen in list(self._open):
            if size >= FRAME_BYTES:
                break
            entry = self._open.pop(pen)
            of_entry = entry.size()
            if of_entry > FRAME_BYTES and len(entry.texts) > 1:  # the broker was away for long
                self._open[pen] = entry.cut(max(1, len(entry.texts) * FRAME_BYTES // of_entry))
            size += of_entry
            taken.append(Entry(*pen, entry.index, entry.texts, entry.ids))
            odds.append(entry.odds)
        return Frame(taken, odds if any(odds) else [])

    async def _append(self, frame: Frame) -> None:
        """Append a frame after the last one. Nobody else writes this subject, so a refusal

        names either our own frame, which had landed unanswered, or 0: the subject has expired.
        """
        data = encode(frame)
        while True:
            try:
                self._last = await self._js.append(self._subject, data, fence(self._last))
                return
            except ApiError as error:
                if error.code == WRONG_LAST and error.found is not None:
                    if error.found > self._last:
                        self._last = error.found
                        return
                    self._last = error.found
                    continue
                log.warning("The log refused a frame: %s; trying again", error)
            except UNANSWERED:
                pass
            await asyncio.sleep(RETRY)
