"""Follows the log of one reply address live, notices what was missed, and fills it in.

Readers listen to the republished subjects, never to those that are written: a subscriber there
would also see appends that the stream rejected. Republishing is at most once, so a follower
trusts nothing: it checks every link (the sequence before on the same subject, the sequence an
event was fenced with, the index of each entry), compares itself with the log once a second,
message by message, and reads again whatever it doubts. What it applies to each `Run` is decided by
the rule of the latest claim alone.
"""

import asyncio
import logging
from collections import deque

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from mesh.bus.connection import Bus, BusError
from mesh.bus.entries import apply
from mesh.bus.history import anchor, last_event
from mesh.bus.jetstream import JetStream, Stored, republished
from mesh.bus.log_end import LogEnd
from mesh.bus.one_by_one import passing_over
from mesh.bus.replay import Replayer
from mesh.bus.track import Track as Track
from mesh.bus.tracks import SHORT, Tracks
from mesh.bus.tracks import OnEvent as OnEvent
from mesh.protocol import subjects
from mesh.protocol.run import Run
from mesh.protocol.subjects import RunSubject

log = logging.getLogger(__name__)

CHECK = 1.0
"""Seconds between two comparisons with the log."""

PATIENCE = 0.3
"""Seconds that a message may take from the log to us before it counts as missed."""

TRUST = 5.0
"""Seconds after a comparison with the log in which what comes live is believed.

A missed claim would have us count words of a worker that has lost the pen. No living worker loses
it within TRUST, and we compare every CHECK; where no comparison succeeded, the log is read first.
"""

REBUILDS = 200
"""Times, PATIENCE apart, that a story is read anew for what is known to be in it: a cluster that
was apart may say for seconds that the log ends where it did before."""

ATTEMPTS = 3
"""Times a story is read to find it whole; what the log itself has lost is never whole."""


class Follower:
    """Keeps the tracks of one reply address up to date.

    on_event hears every event of the address once it was applied, tracked or not.

    _sound: all of this address up to it is applied, checked against the log; _applied: the last
    sequence applied, which may lie beyond a hole where it came live; _heard: the sequences applied
    live beyond _sound; _backlog: what came live during a fill; _broken: by rid, (track, what is
    held back since, the sequence of the event that could not be applied, 0: a frame).
    """

    def __init__(
        self, bus: Bus, js: JetStream, reply: str, on_event: OnEvent | None = None
    ) -> None:
        self._bus = bus
        self._js = js
        self._reply = reply
        self.tracks = Tracks(reply, on_event)
        self._replayer = Replayer(js, reply)
        self._end = LogEnd(js)
        self._attaching: dict[str, asyncio.Task[Track | None]] = {}
        self._sound = 0
        self._applied = 0
        self._heard: set[int] = set()
        self._backlog: deque[Stored] = deque()
        self._filling: asyncio.Task[None] | None = None
        self._doubts = 0
        self._compared = 0.0
        self._subscription: Subscription | None = None
        self._broken: dict[str, tuple[Track, list[Stored], int]] = {}
        self.fills = 0

    async def start(self) -> None:
        """Subscribe; what is stored from now on will be applied. Raises BusError."""
        subscription = await self._bus.listen(subjects.live(self._reply), self._receive)
        self._subscription = subscription
        try:
            self._compared = _now()
            self.tracks.since = self._sound = self._applied = await self._leader()
        except BaseException:  # whoever tries again makes another follower
            await subscription.unsubscribe()
            raise
        self._bus.on_doubt(self.doubt)
        self._bus.on_break(self.doubt)

    @property
    def idle(self) -> bool:
        """Whether nothing is followed here, and nobody is about to."""
        return not (self.tracks or self._attaching or self._filling)

    async def stop(self) -> None:
        """Hear no more; whoever needs the address again makes another follower."""
        self._bus.forget(self.doubt)
        if self._filling is not None:
            self._filling.cancel()
        if self._subscription is not None and not self._bus.client.is_closed:
            await self._subscription.unsubscribe()

    def track(self, rid: str) -> Track:
        """Follow a request that is about to be queued. Call it before appending `queued`.

        Whoever asks for the same is given the same one, also where its story is being read just
        now: a second one in its place would leave the first one's readers without what comes.
        """
        return self.tracks.any(rid) or self.tracks.begin(rid, self._applied + 1)

    def forsake(self, track: Track) -> None:
        """Follow no longer what was not queued after all, unless somebody else does."""
        if not (track.landed or track.readers or track.run.queued or track.held is not None):
            self.tracks.drop(track)

    async def attach(self, rid: str) -> Track | None:
        """Follow a request from its beginning; None where this address's log has it no more.

        Raises BusError.
        """
        track = self.tracks.get(rid)
        if track is not None and (track.landed or track.run.queued is not None):
            return track
        task = self._attaching.get(rid)
        if task is None:
            task = self._attaching[rid] = asyncio.create_task(self._attach(rid))
            task.add_done_callback(lambda _: self._attaching.pop(rid, None))
        return await asyncio.shield(task)

    def doubt(self) -> None:
        """Messages may have been missed: read the log before believing what comes next.

        If it is being read just now, it is read on to where it ends now: what was missed may lie
        behind the target, and what comes after it live says nothing of it.
        """
        self._doubts += 1
        if self._filling is None:
            self._filling = asyncio.create_task(self._fill())

    async def watch(self) -> None:
        """Compare with the log once a second, until cancelled."""
        while True:
            await asyncio.sleep(CHECK)
            if not self._bus.connected or self._filling is not None:
                continue
            try:
                await self._check()
            except BusError as error:
                log.debug("Checking %s: %s", self._reply, error)

    async def _check(self) -> None:
        """Notice what was missed. Raises BusError: whether anything was, is not known then."""
        begun = _now()
        target = await self._leader()
        unheard = await self._after(self._applied)
        if unheard:
            await asyncio.sleep(PATIENCE)
        if self._end.lost or unheard > self._applied:
            self.doubt()
        elif self._filling is None and await self._compare(target):
            self._compared = begun

    async def _compare(self, target: int) -> bool:
        """Hold what is stored up to `target` against what was heard of it; whether all was heard.

        A message may be lost in the middle, where no later one speaks of it: the end of one
        request, while others go on. All up to `_sound` is known to be applied.
        """
        if target <= self._sound:
            return True
        log_of = subjects.log_of(self._reply)
        stored: list[int] = []
        async for batch in self._js.read(subjects.RUN_STREAM, log_of, self._sound + 1, target):
            stored += [each.seq for each in batch]
        more = await self._after(stored[-1] if stored else self._sound)
        if self._filling is not None:
            return False
        if not self._heard.issuperset(stored):
            self.doubt()
            return False
        if 0 < more <= target:  # a replica that lags behind has answered
            return False
        self._applied = max(self._applied, target)
        self._heard = {seq for seq in self._heard if seq > target}
        self._settle(target)
        return True

    def _settle(self, target: int) -> None:
        """All up to `target` is applied, as far as it is ours."""
        self._sound = target
        self.tracks.settle(target)

    async def _leader(self) -> int:
        """Where the log ends, whoever wrote there last. Notices one that was made anew.

        Raises Outdated where we have heard of what comes after that; BusError.
        """
        return (await self._end.ask()).last

    async def _after(self, seq: int) -> int:
        """The sequence of our address's next message beyond one, by the leader's word, or 0."""
        found = await self._js.next(subjects.RUN_STREAM, subjects.log_of(self._reply), seq + 1)
        return found.seq if found is not None else 0

    # --- live -------------------------------------------------------------------------------------

    def _receive(self, msg: Msg) -> None:
        stored = republished(msg)
        self._end.heard(stored.seq)
        if self._filling is None and _now() - self._compared > TRUST:
            self.doubt()
        if self._filling is not None:
            self._backlog.append(stored)
        elif not self._step(stored):
            self._backlog.append(stored)
            self.doubt()

    def _step(self, stored: Stored) -> bool:
        """Apply a message that came live; False if something before it is missing."""
        if stored.seq <= self._applied:
            return True
        where = _where(stored)
        if where is not None:
            if where.kind == "tok" and not self.tracks.in_chain(stored):
                return False
            if self.tracks.unvouched(where, stored) or self.tracks.apply(where, stored):
                return False
        self._applied = stored.seq
        self._heard.add(stored.seq)
        return True

    # --- filling ----------------------------------------------------------------------------------

    async def _fill(self) -> None:
        """Read what was missed, then what came meanwhile, until nothing is in doubt."""
        self.fills += 1
        try:
            while True:
                doubts, begun = self._doubts, _now()
                try:
                    await self._read_missed(await self._leader())
                    while self._backlog and self._step(self._backlog[0]):
                        self._backlog.popleft()
                    if not self._backlog and doubts == self._doubts:
                        self._compared = begun
                        return
                except BusError as error:
                    log.debug("Filling %s: %s", self._reply, error)
                    await asyncio.sleep(CHECK / 5)
                except Exception:  # what came live must not be applied before what was missed
                    log.exception("Filling %s failed; trying again", self._reply)
                    await asyncio.sleep(CHECK)
        finally:
            self._filling = None

    async def _read_missed(self, target: int) -> None:
        if self._end.lost:
            self._start_over()
        while self._sound < target:
            at = self._sound
            log_of = subjects.log_of(self._reply)
            async for batch in self._js.read(subjects.RUN_STREAM, log_of, at + 1, target):
                for stored in batch:
                    where = _where(stored)
                    if where is None:
                        continue
                    unheard = stored.seq not in self._heard
                    for track in self.tracks.apply(where, stored, unheard):
                        held = self.tracks.hold(track, where, stored)
                        event = stored.seq if where.kind == "evt" else 0
                        self._broken[track.rid] = track, held, event
                self._sound = batch[-1].seq
            if not 0 < await self._after(self._sound) <= target:
                self._sound = target
            elif self._sound == at:  # a replica that lags behind has answered
                await asyncio.sleep(PATIENCE / 3)
        self._applied = max(self._applied, target)
        self._heard.clear()
        self.tracks.settle(self._sound)
        while self._broken:
            await asyncio.gather(*(self._rebuild(*each) for each in list(self._broken.values())))
        self.tracks.give_up(self._applied)

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
            self.tracks.mend(track, run)
            whole = _continue(track.rid, track.run, run.read, held)
            if (whole and track.run.last >= known) or track.run.end is not None:
                break
            await asyncio.sleep(PATIENCE)
        else:
            self.tracks.lose(track)
        self._hold_no_more(track)
        if track.run.end is not None and not track.readers:
            self.tracks.drop(track)

    def _start_over(self) -> None:
        """The stream was created anew, or restored from a backup: read all of it again."""
        log.warning("The log of %s went back: it was replaced or restored", self._reply)
        self.tracks.start_over()
        self._sound = self._applied = 0
        self._end.lost = False
        self._heard.clear()
        self._backlog.clear()
        # Of those whose story was to be read again, what was known and held is of the other log.
        self._broken = {rid: (track, held, 0) for rid, (track, held, _) in self._broken.items()}
        for _, held, _ in self._broken.values():
            held.clear()

    async def _attach(self, rid: str) -> Track | None:
        last = await last_event(self._js, rid, self._reply)
        if last is None:
            return None
        found = await anchor(self._js, rid, last.seq, self._reply)
        if found is None:
            return None
        track = self.tracks.any(rid) or self.tracks.begin(rid, found[0].seq)
        track.start = found[0].seq  # one that is about to be queued again begins too late
        known = max(last.seq, self._applied)
        for _ in range(ATTEMPTS):  # again, if of what came meanwhile something was missed
            held = track.held = []
            try:
                track.run = await self._replayer.run(rid, track.start, known=known)
            except BusError:
                if track.readers:  # they wait for what was held, and for what is behind it
                    self._broken[rid] = track, held, last.seq
                    self.doubt()
                else:
                    self._let_go(track)
                raise
            except BaseException:
                self._let_go(track)
                raise
            if _continue(rid, track.run, track.run.read, held):
                break
            known = held[-1].seq  # which it is missing before: the leader told less than it had
        self._hold_no_more(track)
        if track.run.end is not None:  # it is whole, and whoever asked has it
            self.tracks.drop(track)
        return track

    def _hold_no_more(self, track: Track) -> None:
        """Its story was read: let its readers see it."""
        if track.run.short:
            log.error("The end of %s counts pieces that the log does not have", track.rid)
            self.tracks.lose(track, SHORT)
        track.held = None
        track.wake()

    def _let_go(self, track: Track) -> None:
        track.held = None
        self.forsake(track)


def _continue(rid: str, run: Run, read: int, held: list[Stored]) -> bool:
    """Apply to a request what was held while its story was read up to a sequence; False if
    something before it is missing. What was read is there, as far as it counts."""
    return all([apply({rid: run}, stored) for stored in held if stored.seq > read])


def _where(stored: Stored) -> RunSubject | None:
    """What a message's subject says; None, with an error, for one that is no subject of the log."""
    with passing_over(stored):
        return subjects.parse_run(stored.subject)
    return None


def _now() -> float:
    return asyncio.get_running_loop().time()
