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
from mesh.bus.jetstream import JetStream
from mesh.bus.log_end import LogEnd, Outdated
from mesh.bus.one_by_one import passing_over
from mesh.bus.overheard import Overheard
from mesh.bus.rereading import Rereading
from mesh.bus.stored import Stored, republished
from mesh.bus.track import Track as Track
from mesh.bus.tracks import OnEvent as OnEvent
from mesh.bus.tracks import Tracks
from mesh.protocol import subjects
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


class Follower:
    """Keeps the tracks of one reply address up to date.

    on_event hears every event of the address once it was applied, tracked or not; overheard: notes
    what comes live, for others.

    _sound: all of this address up to it is applied, checked against the log; _applied: the last
    sequence applied, which may lie beyond a hole where it came live; _heard: the sequences applied
    live beyond _sound; _backlog: what came live during a fill; fills: how often the log was read
    again, for which only tests ask.
    """

    def __init__(
        self,
        bus: Bus,
        js: JetStream,
        reply: str,
        on_event: OnEvent | None = None,
        overheard: Overheard | None = None,
    ) -> None:
        self._overheard = overheard or Overheard(kept=0)
        self._bus = bus
        self._js = js
        self._reply = reply
        self.tracks = Tracks(reply, on_event)
        self._rereading = Rereading(js, reply, self.tracks, self.doubt, lambda: self._applied)
        self._end = LogEnd(js)
        self._sound = 0
        self._applied = 0
        self._heard: set[int] = set()
        self._backlog: deque[Stored] = deque()
        self._filling: asyncio.Task[None] | None = None
        self._started = False
        self._doubts = 0
        self._compared = 0.0
        self._subscription: Subscription | None = None
        self.fills = 0

    async def start(self) -> None:
        """Subscribe; what is stored from now on will be applied. Raises BusError."""
        self._overheard.lost()  # it may be of a try before this one, and of another connection
        subscription = await self._bus.listen(subjects.live(self._reply), self._receive)
        self._subscription = subscription
        try:
            self._compared = _now()
            self.tracks.since = self._sound = self._applied = await self._leader()
        except BaseException:  # whoever tries again makes another follower
            await subscription.unsubscribe()
            raise
        self._started = True
        if not self._caught_up():
            self.doubt()
        for broken in (self.doubt, self._overheard.lost):
            self._bus.on_doubt(broken)
            self._bus.on_break(broken)

    @property
    def idle(self) -> bool:
        """Whether nothing is followed here, and nobody is about to."""
        return not (self.tracks or self._rereading.attaching or self._filling)

    async def stop(self) -> None:
        """Hear no more; whoever needs the address again makes another follower."""
        self._bus.forget(self.doubt)
        self._bus.forget(self._overheard.lost)
        if self._filling is not None:
            self._filling.cancel()
        if self._subscription is not None and not self._bus.client.is_closed:
            await self._subscription.unsubscribe()

    def track(self, rid: str) -> Track:
        """Follow a request that is about to be queued. Call it before appending `queued`.

        Whoever asks for the same is given the same one, also where its story is being read just
        now: a second one in its place would leave the first one's readers without what comes.
        """
        return self.tracks.get(rid) or self.tracks.begin(rid, self._applied + 1)

    async def attach(self, rid: str) -> Track | None:
        """Follow a request from its beginning; None where this address's log has it no more.

        Raises BusError.
        """
        return await self._rereading.attach(rid)

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

        Where all that is stored beyond that was heard, ours or not, there is nothing to ask for:
        sequences have no holes.
        """
        if sum(self._sound < seq <= target for seq in self._heard) >= target - self._sound:
            return self._is_whole(target)
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
        return self._is_whole(target)

    def _is_whole(self, target: int) -> bool:
        """All of this address up to `target` was heard."""
        self._applied = max(self._applied, target)
        self._heard = {seq for seq in self._heard if seq > target}
        self._settle(max(target, self._sound))
        return True

    def _settle(self, target: int) -> None:
        """All up to `target` is applied, as far as it is ours."""
        self._sound = target
        self.tracks.settle(target)

    async def _leader(self) -> int:
        """Where the log ends, whoever wrote there last. Notices one that was made anew.

        Raises Outdated where we have heard of what comes after that; BusError.
        """
        try:
            return (await self._end.ask()).last
        except Outdated:  # what was heard may be lost, and its sequences given out once more
            self._overheard.lost()
            raise

    async def _after(self, seq: int) -> int:
        """The sequence of our address's next message beyond one, by the leader's word, or 0."""
        found = await self._js.next(subjects.RUN_STREAM, subjects.log_of(self._reply), seq + 1)
        return found.seq if found is not None else 0

    # --- live -------------------------------------------------------------------------------------

    def _receive(self, msg: Msg) -> None:
        stored = republished(msg)
        self._end.heard(stored.seq)
        self._overheard.note(stored)
        if not self._started:  # where we begin is not known yet
            self._backlog.append(stored)
            return
        if self._filling is None and _now() - self._compared > TRUST:
            self.doubt()
        if self._filling is not None:
            self._backlog.append(stored)
        elif not self._step(stored):
            self._backlog.append(stored)
            self.doubt()

    def _caught_up(self) -> bool:
        """Apply what has come meanwhile; False if something is missing in between."""
        while self._backlog and self._step(self._backlog[0]):
            self._backlog.popleft()
        return not self._backlog

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
                    if self._caught_up() and doubts == self._doubts:
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
                        self._rereading.mark(track, where, stored)
                self._sound = batch[-1].seq
            if not 0 < await self._after(self._sound) <= target:
                self._sound = target
            elif self._sound == at:  # a replica that lags behind has answered
                await asyncio.sleep(PATIENCE / 3)
        self._applied = max(self._applied, target)
        self._heard.clear()
        self.tracks.settle(self._sound)
        await self._rereading.mend_all()
        self.tracks.give_up(self._applied)

    def _start_over(self) -> None:
        """The stream was created anew, or restored from a backup: read all of it again."""
        log.warning("The log of %s went back: it was replaced or restored", self._reply)
        self._overheard.lost()
        self.tracks.start_over()
        self._sound = self._applied = 0
        self._end.lost = False
        self._heard.clear()
        self._backlog.clear()
        self._rereading.start_over()


def _where(stored: Stored) -> RunSubject | None:
    """What a message's subject says; None, with an error, for one that is no subject of the log."""
    with passing_over(stored):
        return subjects.parse_run(stored.subject)
    return None


def _now() -> float:
    return asyncio.get_running_loop().time()
