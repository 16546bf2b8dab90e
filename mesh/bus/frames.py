"""Writes the pieces of a worker's answers into the log: as frames, in a chain, one at a time."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from mesh.bus.api import WRONG_LAST, ApiError
from mesh.bus.appender import RETRY, UNANSWERED
from mesh.bus.connection import Oversized
from mesh.bus.jetstream import JetStream
from mesh.bus.open_entry import OpenEntry
from mesh.bus.stored import fence
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.frames import Entry, Frame, Odds
from mesh.protocol.subjects import Writer

log = logging.getLogger(__name__)

FRAME_BYTES = 256 << 10
"""Bytes of a frame at most, or a quarter of what the broker takes, where that is less: what is more
goes into the next. A piece that is larger by itself has a frame of its own."""

BACKLOG = 20_000
"""Pieces waiting to be stored, over all requests, at which engines had rather wait."""

PACE = 0.03
"""Seconds from one frame to the next, but for what an answer begins or ends with.

A frame costs the processes on its way about a millisecond of CPU between them, whether it carries
one token or a hundred, and a write to each of its readers; they see no difference between 33 frames
a second and 1,000.
"""


class Unwritten(Exception):
    """What was put will not be stored here any more: the writing itself has failed."""


EntryKey = tuple[str, int]
"""Under which an entry is written: the request, and the number of its claim."""


class FrameWriter:
    """Appends one process's tokens for one reply address: one frame in flight, in one chain.

    What is put while a frame is under way goes into a later one. Frames are PACE apart, but what an
    answer begins or ends with is sent at once; what others say in the middle of theirs is not.

    unsayable: called with a request of which a piece is more than the broker takes. That piece is
    not written, nor what is put behind it under the same claim; it counts as stored. last: the
    sequence of the last frame that this process has written there, 0: none.

    _open: what waits to be written; _urgent: whose of that is not to wait; _flying: whose is in the
    frame under way.
    """

    def __init__(
        self,
        js: JetStream,
        reply: str,
        writer: Writer,
        unsayable: Callable[[str], None] = lambda rid: None,
        last: int = 0,
    ) -> None:
        self._js = js
        self._unsayable = unsayable
        self._unsaid: set[EntryKey] = set()
        self._subject = subjects.tokens(reply, writer)
        self._last = last
        self._open: dict[EntryKey, OpenEntry] = {}
        self._urgent: dict[EntryKey, None] = {}
        self._flying: set[EntryKey] = set()
        self._failed = False
        self._put = 0
        self._stored = 0
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._progress = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether all that was put is stored."""
        return not (self._open or self._flying)

    @property
    def last(self) -> int:
        """The sequence of the last frame, 0 where there is none; sure while it is `idle`."""
        return self._last

    @property
    def longest(self) -> int:
        """Bytes that an answer may come to. Its end has its text, and whoever takes it over is sent
        all of it, in one message each; what is missing to the broker's limit is for its last piece.
        """
        return self._js.bus.max_payload * 3 // 4

    @property
    def largest(self) -> int:
        """Bytes of JSON that a piece's text may take, and its ids, and its odds each: larger ones
        are for their writer to divide. All of a piece fits a frame then, and one piece more than
        `longest` a message."""
        return min(FRAME_BYTES, self._js.bus.max_payload // 16)

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

        odds: with every piece of an answer, or with none. Raises Unwritten.
        """
        if self._failed:
            self._check()
        key = (rid, n)
        entry = self._open.get(key)
        if entry is None:
            if key in self._unsaid:
                return
            entry = self._open[key] = OpenEntry(index)
            self._wake.set()
            if index == 0:
                self._urge(key)
        entry.texts.append(text)
        if odds is not None:
            entry.odds.append(odds)
        if ids is None:
            entry.ids = None
        elif entry.ids is not None:
            entry.ids.append(ids)
        self._put += 1

    async def stored(self, rid: str, n: int) -> None:
        """Wait until all that was put under a claim is in the log. Raises Unwritten."""
        key = (rid, n)
        while key in self._open or key in self._flying:
            self._check()
            if key in self._open:
                self._urge(key)
            self._progress.clear()
            await self._progress.wait()

    def _urge(self, key: EntryKey) -> None:
        """Have what is open of an answer written in the next frame."""
        self._urgent[key] = None
        self._hurry.set()

    def _check(self) -> None:
        if self._failed:
            raise Unwritten("writing its pieces into the log has failed")

    async def run(self) -> None:
        """Write frames until cancelled. If that fails, nobody waits for them any longer."""
        try:
            await self._write()
        except Exception:
            self._failed = True
            self._progress.set()
            raise

    async def _write(self) -> None:
        clock = asyncio.get_running_loop().time
        due = 0.0
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._open:
                if everything := await self._turn(due):
                    due = clock() + PACE
                frame = self._take(list(self._open) if everything else list(self._urgent))
                try:
                    await self._append(frame)
                except Oversized as error:
                    self._give_up(frame, error)
                self._flying.clear()
                self._stored += sum(len(entry.texts) for entry in frame.entries)
                self._progress.set()

    async def _turn(self, due: float) -> bool:
        """Wait for the next frame: until the loop's time is `due` or somebody hurries. Whether it
        is for all, or for those who hurry alone."""
        clock = asyncio.get_running_loop().time
        if self.full or clock() >= due:
            return True
        if not self._urgent:
            self._hurry.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._hurry.wait()
        return not self._urgent

    def _take(self, keys: Sequence[EntryKey]) -> Frame:
        """What is open of these, as far as it fits a frame: one piece at least."""
        taken: list[Entry] = []
        odds: list[list[Odds]] = []
        room = min(FRAME_BYTES, self._js.bus.max_payload // 4)
        for key in keys:
            entry = self._open[key]
            count, size = entry.fits(room)
            if not count and taken:
                break
            del self._open[key]
            if count < len(entry.texts):  # the broker was away for long, or a piece is large
                rest = entry.cut(max(1, count))
                if rest.texts:
                    self._open[key] = rest
                size = room
            self._urgent.pop(key, None)
            self._flying.add(key)
            room -= size
            taken.append(Entry(*key, entry.index, entry.texts, entry.ids))
            odds.append(entry.odds)
        return Frame(taken, odds if any(odds) else [])

    def _give_up(self, frame: Frame, error: Oversized) -> None:
        """The broker does not take it, nor will it: whose pieces these are ends without them."""
        for entry in frame.entries:
            log.error("Pieces of %s cannot be written: %s", entry.rid, error)
            key = (entry.rid, entry.n)
            self._unsaid.add(key)
            rest = self._open.pop(key, None)
            self._urgent.pop(key, None)
            self._stored += len(rest.texts) if rest is not None else 0
            self._unsayable(entry.rid)

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
