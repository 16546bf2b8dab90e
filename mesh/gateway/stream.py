"""One client's place in an answer: what it is to be told next, and what is held for that.

An answer that runs is held for all who read it. What has ended is held for its readers no longer
than they read it quickly: of who does not, the place alone is kept, and what comes next is taken
out of the log when it can be written. So a slow reader costs about what is on the wire to it,
however long its answer is.
"""

import asyncio
import logging
import time
from typing import Protocol

from mesh.bus.follow import Track
from mesh.bus.rest import Forgotten, Rest
from mesh.gateway.logs import Logs
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Done, Failed
from mesh.protocol.run import Run

log = logging.getLogger(__name__)

KEEP_ALIVE = b": keep-alive\n\n"

WINDOW = 512
"""Pieces in one write at most, of all answers of a stream together. Those of a longer answer that
has ended are taken out of the log, as many at a time, for who reads it slowly."""

SLOW = 1.0
"""Seconds after which a write that is not done yet is one to a slow reader."""

FORGOTTEN = "The mesh's log has forgotten this answer before all of it was read; ask again."


class Dialect(Protocol):
    """How one route writes its events. Each method returns whole events, or b"" for none."""

    def tokens(self, run: Run, index: int, upto: int) -> bytes:
        """Pieces `index` to before `upto` of a run. One dialect is told all pieces from the first
        that it is told on; of a run, those that it has been told may have been let go."""
        ...

    def end(self, run: Run) -> bytes:
        """The last event or events, for a run with an `end`."""
        ...

    def tick(self, run: Run) -> bytes:
        """What to say at once, and each second while nothing has come yet; b"" for nothing."""
        ...


class Stream:
    """One client's place in an answer: an index into the shared text, and nothing more.

    sent: pieces that it was told, or had before; keeps: whether the answer goes on when it leaves;
    written: when it was last written to, by the monotonic clock; writing: the same of a write that
    is not done yet; else 0.
    """

    def __init__(
        self, logs: Logs, track: Track, dialect: Dialect, sent: int, keeps: bool = True
    ) -> None:
        self.track = track
        self.ended = False
        self.failed = False
        self.keeps = keeps
        self.sent = sent
        self.writing = 0.0
        self._logs = logs
        self._dialect = dialect
        self._began = False
        self._notes = dialect.tick(track.run)
        self.written = time.monotonic()
        self._change: asyncio.Future[None] | None = None
        self._holds = False
        self._rest: Rest | None = None
        self._seeking: asyncio.Task[None] | None = None

    @property
    def unfinished(self) -> bool:
        """Whether the answer still runs."""
        return not self.ended and self._rest is None and self.track.run.end is None

    def changed(self) -> asyncio.Future[None]:
        """As `Track.changed`, and one future until that change: one that is silent gathers none."""
        if self._change is None or self._change.done():
            self._change = self.track.changed()
        return self._change

    def wake(self) -> None:
        self.track.wake()

    def take(self, most: int) -> bytes:
        """What there is to write now, of no more than `most` pieces. What was taken before is
        written by then."""
        run, data = self.track.run, self._notes
        count = run.count
        self.writing = 0.0
        if count == self.sent and run.end is None and not data:
            return data
        self._notes = b""
        upto = min(count, self.sent + most)
        if upto > self.sent:
            data += self._dialect.tokens(run, self.sent, upto)
            self.sent, self._began = upto, True
            if self._rest is not None:
                run.let_go(upto)
        if run.end is not None and count <= self.sent:
            self.ended, self.failed = True, not isinstance(run.end, Done)
            data += self._dialect.end(run)
            self.release()
        if data:
            self.writing = self.written = time.monotonic()
        return data

    def tick(self, now: float, keep_alive: float) -> None:
        """Say that it lives, if it has to; and hold nothing for a client that does not read."""
        if self.ended:
            return
        note = b"" if self._rest is not None else self._dialect.tick(self.track.run)
        if not note and now - self.written >= keep_alive:
            note = KEEP_ALIVE
        if note:
            self._notes = note
            self.wake()
        if self.writing and now - self.writing > SLOW:
            self._leave()

    # --- holding ----------------------------------------------------------------------------------

    def hold(self) -> None:
        """Keep the track, up to `release`."""
        self._holds = True
        self.track.readers += 1

    def release(self) -> None:
        """Nothing is to be read any more. Whoever waits for a change is not told of any."""
        if self._seeking is not None:
            self._seeking.cancel()
        if self._holds:
            self._holds = False
            self._logs.release(self.track)
            self.track, self._change = Track(self.track.rid, 0), None

    def _leave(self) -> None:
        """Leave a long answer that has ended to the log; what is short is not worth the reading."""
        run = self.track.run
        if self._rest is not None or not self._began or run.queued is None:
            return
        if run.end is not None and run.count > WINDOW:
            log.debug("A slow reader of %s is left to the log", self.track.rid)
            self.release()
            self._rest = self._logs.rest(run.queued.request)
            self.track.run = Run(queued=run.queued)

    def seek(self) -> None:
        """Take what comes next out of the log, if it is not held for others: `changed` tells."""
        if self._rest is None:
            return
        if self._seeking is None:
            self._seeking = asyncio.create_task(self._seek(self._rest))
        elif self._seeking.done():
            self._seeking.result()
            self._seeking = asyncio.create_task(self._seek(self._rest))

    async def _seek(self, rest: Rest) -> None:
        track = self.track
        try:
            await rest.read(self.sent, self.sent + WINDOW)
            track.run = rest.run
        except Forgotten:
            log.warning("The log has forgotten %s before all of it was read", track.rid)
            end = Failed(uid="", code=ErrorCode.INTERNAL, detail=FORGOTTEN)
            track.run = Run(queued=track.run.queued, end=end)
        finally:
            track.wake()
