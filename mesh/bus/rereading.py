"""Reads the whole story of one request from the log: for who asks for it, and where reading what
was missed did not mend it. What comes of it live meanwhile is held back, and applied after it."""

import asyncio
import logging
from collections.abc import Callable

from mesh.bus.connection import BusError
from mesh.bus.entries import apply
from mesh.bus.history import anchor, last_event
from mesh.bus.jetstream import JetStream
from mesh.bus.replay import Replayer
from mesh.bus.stored import Stored
from mesh.bus.track import Track
from mesh.bus.tracks import SHORT, Tracks
from mesh.protocol.run import Run
from mesh.protocol.subjects import RunSubject

log = logging.getLogger(__name__)

PAUSE = 0.3
"""Seconds between two readings of a story that lacked what is known to be in it."""

REBUILDS = 200
"""Times, PAUSE apart, that a story is read anew for what is known to be in it: a cluster that was
apart may say for seconds that the log ends where it did before."""

ATTEMPTS = 3
"""Times a story is read to find it whole; what the log itself has lost is never whole."""


class Rereading:
    """The stories of one reply address's tracks.

    doubt: says that messages may have been missed; applied: the last sequence that the follower has
    applied.

    _broken: by rid, (track, what is held back since, the sequence of the event that could not be
    applied, 0: a frame).
    """

    def __init__(
        self,
        js: JetStream,
        reply: str,
        tracks: Tracks,
        doubt: Callable[[], None],
        applied: Callable[[], int],
    ) -> None:
        self._js = js
        self._reply = reply
        self._tracks = tracks
        self._doubt = doubt
        self._applied = applied
        self._replayer = Replayer(js, reply)
        self._attaching: dict[str, asyncio.Task[Track | None]] = {}
        self._broken: dict[str, tuple[Track, list[Stored], int]] = {}

    # --- for who asks -----------------------------------------------------------------------------

    @property
    def attaching(self) -> bool:
        """Whether the story of any request is being read for who asked."""
        return bool(self._attaching)

    async def attach(self, rid: str) -> Track | None:
        """As `Follower.attach`."""
        track = self._tracks.ready(rid)
        if track is not None and (track.landed or track.run.queued is not None):
            return track
        task = self._attaching.get(rid)
        if task is None:
            task = self._attaching[rid] = asyncio.create_task(self._attach(rid))
            task.add_done_callback(lambda _: self._attaching.pop(rid, None))
        return await asyncio.shield(task)

    async def _attach(self, rid: str) -> Track | None:
        last = await last_event(self._js, rid, self._reply)
        if last is None:
            return None
        found = await anchor(self._js, rid, last.seq, self._reply)
        if found is None:
            return None
        track = self._tracks.get(rid) or self._tracks.begin(rid, found[0].seq)
        track.start = found[0].seq  # one that is about to be queued again begins too late
        known = max(last.seq, self._applied())
        for _ in range(ATTEMPTS):  # again, if of what came meanwhile something was missed
            held = track.held = []
            try:
                track.run = await self._replayer.run(rid, track.start, known=known)
            except BusError:
                if track.readers:  # they wait for what was held, and for what is behind it
                    self._broken[rid] = track, held, last.seq
                    self._doubt()
                else:
                    self._let_go(track)
                raise
            except BaseException:
                self._let_go(track)
                raise
            if _continue(rid, track.run, track.run.read_upto, held):
                break
            known = held[-1].seq  # which it is missing before: the leader told less than it had
        self._hold_no_more(track)
        if track.run.end is not None:  # it is whole, and whoever asked has it
            self._tracks.drop(track)
        return track

    # --- for what could not be mended -------------------------------------------------------------

    def mark(self, track: Track, where: RunSubject, stored: Stored) -> None:
        """Have a story read again, because something is missing before this message."""
        held = self._tracks.hold(track, where, stored)
        event = stored.seq if where.kind == "evt" else 0
        self._broken[track.rid] = track, held, event

    async def mend_all(self) -> None:
        """Read again all that was marked. Raises BusError: what is left is still marked then."""
        while self._broken:
            await asyncio.gather(*(self._rebuild(*each) for each in list(self._broken.values())))

    async def _rebuild(self, track: Track, held: list[Stored], known: int) -> None:
        """Read a request's whole story again, where the fill alone could not mend it.

        So it is when a token was missed before a claim that was applied. held: what came since;
        known: the sequence of what could not be applied. A replica that lags behind, or a leader
        that has just become one, may not have it yet.
        """
        self._broken.pop(track.rid)
        for _ in range(REBUILDS):
            try:
                run = await self._replayer.run(track.rid, track.start)
            except BusError:
                self._broken.setdefault(track.rid, (track, held, known))
                raise
            if track.held is not held:  # somebody has asked for it, and reads it just now
                return
            self._tracks.mend(track, run)
            whole = _continue(track.rid, track.run, run.read_upto, held)
            if (whole and track.run.last >= known) or track.run.end is not None:
                break
            await asyncio.sleep(PAUSE)
        else:
            self._tracks.lose(track)
        self._hold_no_more(track)
        if track.run.end is not None and not track.readers:
            self._tracks.drop(track)

    def start_over(self) -> None:
        """The log was replaced: what was known and held of what was marked is of the other one."""
        self._broken = {rid: (track, held, 0) for rid, (track, held, _) in self._broken.items()}
        for _, held, _ in self._broken.values():
            held.clear()

    # --- both -------------------------------------------------------------------------------------

    def _hold_no_more(self, track: Track) -> None:
        """Its story was read: let its readers see it."""
        if track.run.short:
            log.error("The end of %s counts pieces that the log does not have", track.rid)
            self._tracks.lose(track, SHORT)
        track.held = None
        track.wake()

    def _let_go(self, track: Track) -> None:
        track.held = None
        self._tracks.forsake(track)


def _continue(rid: str, run: Run, read: int, held: list[Stored]) -> bool:
    """Apply to a request what was held while its story was read up to a sequence; False if
    something before it is missing. What was read is there, as far as it counts."""
    return all([apply({rid: run}, stored) for stored in held if stored.seq > read])
