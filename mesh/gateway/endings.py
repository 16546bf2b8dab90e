"""Ends requests: because somebody asks to stop, or because nobody has ended them in time.

Whoever holds the pen writes the end; only a request that nobody holds, or whose time is over, is
ended from here. What nobody has claimed leaves the queue with its end, and makes room there. Of
what somebody has claimed the pen is taken first: what its holder goes on writing counts for nothing
then, and the end says exactly what was read.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from msgspec.structs import replace

from mesh.bus.appender import Fenced, append_to, new_uid
from mesh.bus.connection import Bus, BusError
from mesh.bus.follow import Track
from mesh.bus.history import last_event
from mesh.bus.jetstream import JetStream
from mesh.bus.replay import Replays
from mesh.gateway import leftovers
from mesh.gateway.anew import RETRY_AFTER
from mesh.gateway.deadlines import OBEYING, due, must_end
from mesh.protocol import subjects
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancel, Cancelled, End, Failed, Usage
from mesh.protocol.questions import CancelRun
from mesh.protocol.request import Request
from mesh.protocol.run import Run
from mesh.protocol.subjects import Writer

log = logging.getLogger(__name__)

LATER = 10.0
"""Seconds until what failed for a reason that nobody foresaw is tried again."""

FORGOTTEN = "The mesh's log has forgotten this request before its end; ask again."

NOT_TAKEN = "No worker took it in time; try again later."


def _unclaimed(run: Run, pause: float) -> End:
    """The end of a request that nobody has taken in time; what it was to be cancelled for, it is.

    pause: seconds after which to ask for it anew.
    """
    if run.cancel:
        return Cancelled(uid=new_uid())
    code = ErrorCode.DEADLINE_EXCEEDED
    return Failed(uid=new_uid(), code=code, detail=NOT_TAKEN, retry_after=pause)


def _late(run: Run) -> End:
    """The end of a request whose time is over, by whoever has its pen and has read all of it."""
    code = ErrorCode.DEADLINE_EXCEEDED
    end = Failed(uid=new_uid(), code=code, detail=code.sentence)
    tokens = run.count if run.ids is None else sum(len(ids) or 1 for ids in run.ids)
    return replace(
        Cancelled(uid=new_uid()) if run.cancel else end,
        text=run.text,
        usage=Usage(completion_tokens=tokens),
        seal=run.seal(),
        n=run.n,
    )


class Endings:
    """Ends requests in the name of one gateway. `pause` tells of each model how many seconds later
    it is worth asking it again, for those that no worker took in time."""

    def __init__(
        self,
        bus: Bus,
        js: JetStream,
        writer: Writer,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bus = bus
        self._js = js
        self._writer = writer
        self._clock = clock
        self._replays = Replays(js)
        self._due: dict[str, Track] = {}
        self._noticed: dict[str, tuple[int, float]] = {}
        self._at_it: set[str] = set()
        self.pause: Callable[[str], float] = lambda model: RETRY_AFTER

    def see_to(self, track: Track) -> None:
        """Make sure that a request has an end soon after its deadline, or after it was asked to
        stop: by whom, and at which gateway, makes no difference."""
        self._due.setdefault(track.rid, track)

    async def cancel(self, track: Track, by: str = "", withdrawn: bool = False) -> None:
        """Ask for a request's end, durably; wait for `track.run.end` to see it happen.

        A request that nobody has claimed ends here and now; otherwise its holder, or whoever
        takes it over, ends it with the count of what it wrote, or a gateway where nobody does that
        soon. by, withdrawn: as in `Cancel`.
        """
        while track.run.end is None:
            run = track.run
            if run.queued is None:  # its first event is still on the way back to us
                await track.changed()
                continue
            request, claimed = run.queued.request, run.pen is not None
            if claimed and run.cancel:
                break
            last = run.last  # what it is now: the run goes on while we append
            try:
                if (claimed or withdrawn) and not run.cancel:
                    asked = Cancel(uid=new_uid(), by=by, withdrawn=withdrawn)
                    last = await append_to(self._js, request, self._writer, asked, last)
                if not claimed:
                    end = Cancelled(uid=new_uid(), text=run.text)
                    await append_to(self._js, request, self._writer, end, last)
                    await self._take_out(track)
                break
            except Fenced:
                await self._moved(track, last)
        if track.run.end is None:
            self.see_to(track)
        await self._tell(track)

    async def fail(self, request: Request, expected: int, code: ErrorCode) -> bool:
        """End a request as failed if `expected` is still its last event; else leave it alone.

        Whether it was ended.
        """
        return await self._end(
            request, Failed(uid=new_uid(), code=code, detail=code.sentence), expected
        )

    async def _end(self, request: Request, end: End, expected: int) -> bool:
        try:
            await append_to(self._js, request, self._writer, end, expected)
            return True
        except Fenced:
            log.debug("%s moved on before it could be ended", request.rid)
            return False

    async def watch(self) -> None:
        """End what nobody has ended by its deadline, until cancelled."""
        async with asyncio.TaskGroup() as ending:
            while True:
                await asyncio.sleep(1.0)
                now = self._clock()
                for rid, track in list(self._due.items()):
                    if track.run.end is not None:
                        del self._due[rid]
                        self._noticed.pop(rid, None)
                    elif rid not in self._at_it and now > self._by(track, now):
                        self._at_it.add(rid)
                        ending.create_task(self.overdue(track))

    def _by(self, track: Track, now: float) -> float:
        """Unix time by which others should have ended a request. Called over and over: those who
        are to stop have their time from when that is first seen here."""
        run = track.run
        if not must_end(run):
            return due(run)
        mine = run.pen is not None and run.pen[1] == self._writer
        anothers = 0 if mine or run.pen == run.worker else run.n
        known, since = self._noticed.get(track.rid, (None, now))
        if known != anothers:  # another gateway is about to end it, and may die of that
            since = now
            self._noticed[track.rid] = anothers, now
        return min(due(run), since + OBEYING)

    async def overdue(self, track: Track) -> None:
        """End a request whose time is over, unless it has ended: who had been frozen may hear of
        that just now. It is seen to until its end was read, for it may have moved on."""
        run = track.run
        try:
            if run.end is not None or run.queued is None:
                return
            ended = await (self._end_claimed(track) if run.n else self._end_unclaimed(track))
            if not ended:
                await self._look_for(track)
        except BusError as error:  # one that cannot be ended must not keep the others from it
            log.error("%s could not be ended: %s", track.rid, error)
        except Exception:
            log.exception("%s could not be ended; trying again in %g s", track.rid, LATER)
            await asyncio.sleep(LATER)
        finally:
            self._at_it.discard(track.rid)

    async def _end_unclaimed(self, track: Track) -> bool:
        run = track.run
        assert run.queued is not None
        request = run.queued.request
        if not await self._end(request, _unclaimed(run, self.pause(request.model)), run.last):
            return False
        await self._take_out(track)
        return True

    async def _end_claimed(self, track: Track) -> bool:
        """Take the pen, read what stands before that, and end it with this.

        Should we die in between, whoever sees to it next does it again.
        """
        run = track.run
        assert run.queued is not None and run.claim is not None
        request = run.queued.request
        taking = replace(run.claim, uid=new_uid(), n=run.n + 1, lost=False)
        try:
            taken = await append_to(self._js, request, self._writer, taking, run.last)
        except Fenced:
            return False
        whole = await self._replays.run(track.rid, run.queued, run.queued_at, taken)
        known = run if whole.queued is None else whole  # the log may have forgotten its beginning
        return await self._end(request, _late(known), taken)

    async def _look_for(self, track: Track) -> None:
        """End for its readers what the log has forgotten: nobody can write an end there."""
        queued = track.run.queued
        reply = "*" if queued is None else queued.request.reply
        if track.run.end is None and await last_event(self._js, track.rid, reply) is None:
            log.warning("The log has forgotten %s before its end: is it kept too short?", track.rid)
            track.run.end = Failed(uid="", code=ErrorCode.INTERNAL, detail=FORGOTTEN)
            track.wake()

    async def _take_out(self, track: Track) -> None:
        """Take out of the queue what has ended unclaimed; what fails is left to the sweeper."""
        if not track.item:
            return
        try:
            await leftovers.take_out(self._js, track.rid, track.item)
        except BusError as error:
            log.debug("Taking %s out of the queue: %s", track.rid, error)

    async def _tell(self, track: Track) -> None:
        """Tell the holder to look at the log; should it not hear, the log tells its successor."""
        if track.run.pen is None or track.run.end is not None:
            return
        try:
            await self._bus.publish(subjects.orders(track.run.pen[1]), CancelRun(rid=track.rid))
        except BusError as error:
            log.debug("Telling the holder of %s to stop: %s", track.rid, error)

    async def _moved(self, track: Track, last: int) -> None:
        """Wait until the track is past an event that made an append fail."""
        await track.until(lambda run: run.last > last or run.end is not None)
