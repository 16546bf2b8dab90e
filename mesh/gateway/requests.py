"""Accepts requests into the mesh, each one once. Knows no HTTP.

A request is queued in the log first (its anchor), then put before the workers; whatever fails in
between is mended by whoever finds it: a second try of the same request, or its deadline.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from msgspec.structs import replace

from mesh.bus.appender import Fenced, append_to, new_uid
from mesh.bus.connection import Bus
from mesh.bus.entries import read_event
from mesh.bus.follow import OnEvent, Track
from mesh.bus.history import anchor, last_event
from mesh.bus.jetstream import JetStream
from mesh.bus.lasting import Lasting
from mesh.bus.overheard import Overheard
from mesh.gateway.anew import next_id, refusal, void
from mesh.gateway.deadlines import due, must_end
from mesh.gateway.endings import Endings
from mesh.gateway.errors import broker_away
from mesh.gateway.keys import led_elsewhere
from mesh.gateway.limits.limiter import Limiter
from mesh.gateway.logs import PATIENCE, Logs
from mesh.gateway.queue import Queue
from mesh.protocol.codec import encode
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Deleted, End, Failed, Queued
from mesh.protocol.request import Charge, Request, Thoughts, Turn
from mesh.protocol.run import Run
from mesh.protocol.subjects import Writer

log = logging.getLogger(__name__)

WITHDRAWN = "not all of it"
"""Why a request is withdrawn, in the place of who cancels it."""


class Tried(NamedTuple):
    """What an idempotency key has led to. rid: the id to ask under; track: of what was queued under
    that, if anything; refused: of what was refused before it, if anything was."""

    rid: str
    track: Track | None
    refused: Track | None


class Requests:
    """The requests that one gateway accepts; `logs` finds and `endings` ends them, and others'.

    `lasting` has what the gateway does as long as it runs, and ends with `close`.
    """

    def __init__(
        self,
        bus: Bus,
        js: JetStream,
        name: str,
        on_event: OnEvent,
        queue: Queue,
        limiter: Limiter,
        clock: Callable[[], float] = time.time,
        overheard: Overheard | None = None,
    ) -> None:
        self.writer = Writer(bus.user, new_uid())
        self.queue = queue
        self.limiter = limiter
        self._clock = clock
        self._bus = bus
        self._js = js
        self._name = name
        self.lasting = Lasting()
        self.logs = Logs(bus, js, name, on_event, self.lasting, overheard)
        self.endings = Endings(bus, js, self.writer, clock)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Follow this gateway's own address. Raises BusError."""
        await self.logs.start()
        self.lasting.start(self.queue.budget.watch())
        self.lasting.start(self.endings.watch())

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for, and that ends by itself; it is cancelled with
        `close`, and costs nobody else anything if it fails."""
        self._task(work)

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.lasting.close()

    # --- accepting --------------------------------------------------------------------------------

    async def submit(
        self,
        request: Request,
        turn: Turn | None = None,
        body: str = "",
        note: str = "",
        charge: Charge | None = None,
        one_id: bool = False,
        thoughts: Thoughts | None = None,
    ) -> Track:
        """Queue a request and follow it. `body`: digest of what was asked, for idempotency;
        `note`: what the route wants to find again in the log; `charge`: who pays; `one_id`: what
        was refused under this rid is not queued under another, so the log must not tell of a
        refusal: it is refused before, and if there is no room after all it waits for that;
        `thoughts`: how the model marks them, if the answer's readers are to find that in the log.

        A rid that is in the log already is not queued again: its track is returned. Raises
        MeshError: conflict (same rid, other body), too_large, queue_full, share_full,
        rate_limited, broker_unavailable.
        """
        request = replace(request, reply=self._name)
        queued = Queued(
            uid=new_uid(),
            request=request,
            turn=turn,
            body=body,
            note=note,
            charge=charge,
            thoughts=thoughts,
        )
        if len(encode(queued)) + 1024 > self._bus.max_payload:
            raise MeshError(ErrorCode.TOO_LARGE)
        again = False
        if body:
            tried = await self.tried(request.rid, body, anew=not one_id)
            if tried.track is not None:
                return tried.track
            request, again = replace(request, rid=tried.rid), tried.refused is not None
        if one_id or again:  # whoever is refused again and again is not to fill the log
            await self.queue.check_room(request.model, request.tenant, request.priority)
        with self.queue.coming(request):
            request = await self.limiter.admit(request, chat=turn is not None)
            try:
                queued = replace(queued, request=request)
                return await self._begin(request, queued, refusable=not one_id)
            except BaseException:
                self.limiter.forget(request.rid)
                raise

    async def again(self, rid: str, body: str) -> Track | None:
        """The request that was queued under an idempotency key before and not refused, or None.

        Raises MeshError: conflict (another body), broker_unavailable, and as `submit`.
        """
        return (await self.tried(rid, body)).track

    async def tried(self, rid: str, body: str, anew: bool = True) -> Tried:
        """As `again`, and what is to be known for asking anew. anew: whether what was refused
        under a rid is asked under another."""
        refused: Track | None = None
        while (track := await self.logs.find(rid)) is not None:
            await self._same(track, body)
            if not (anew and void(track.run)):
                break
            rid, refused = next_id(rid), track
        return Tried(rid, track, refused)

    async def withdraw(self, tracks: Iterable[Track]) -> None:
        """End what was accepted, for others that belong to it were refused: their keys begin anew.

        Comes back once that stands in the log, for whoever asks again at once.
        """
        going = [track for track in tracks if track.run.end is None]
        ending = [self._task(self.endings.cancel(track, WITHDRAWN, True)) for track in going]
        if ending:
            await asyncio.wait(ending, timeout=PATIENCE)
        await asyncio.gather(*map(_told, going))

    async def take_back(self, rid: str) -> None:
        """See to a request whose gateway is gone, or was started again.

        What nobody can read on is cancelled, as if its client had hung up: it has, unless we
        accepted it ourselves since we were started. Of what was asked to stop its holder is told
        again: whoever was asked may have died before it told it.
        """
        ours = self.logs.own.tracks.ready(rid) is not None
        track = await self.logs.find(rid)
        if track is None or track.run.queued is None or track.run.end is not None:
            return
        request = track.run.queued.request
        self.endings.see_to(track)
        if track.run.cancel:
            await self.endings.cancel(track)
        if must_end(track.run) or self._clock() > due(track.run):
            return
        if is_orphan(track.run):
            if not ours:
                await self.endings.cancel(track, "gateway lost")
            return
        if track.run.n == 0:
            await self.queue.put(request, track.run.queued_at, track)

    async def queue_again(self, rid: str) -> None:
        """Put a request before the workers that the queue has lost, claimed or not, or had no
        room for; if it has none now, whoever calls tries again.

        Raises BusError.
        """
        found = await anchor(self._js, rid)
        if found is None:
            return
        began, request = found[0].seq, found[1].request
        last = await last_event(self._js, rid, request.reply)
        if last is None or isinstance(read_event(last), End | Deleted):
            return  # it has ended meanwhile
        # its own sequence: a first claim on any other would be believed
        if await self.queue.put(request, began, None, again=new_uid()) is None:
            log.warning("The queue had lost %s, or had no room for it; it is queued again", rid)

    async def _begin(self, request: Request, queued: Queued, refusable: bool) -> Track:
        """Append the anchor and follow it, unless the same request comes from elsewhere just now.
        What the queue has no room for ends; unless it is not `refusable`: the sweeper queues it.

        A track may be shared with another try of the same request: it stays while one is at it, and
        where one has landed, which may not have been heard of yet.
        """
        follower = self.logs.own
        track = follower.track(request.rid)
        track.readers += 1
        seq = 0
        appending = asyncio.create_task(append_to(self._js, request, self.writer, queued, 0))
        try:
            async with asyncio.timeout(PATIENCE):
                seq = await asyncio.shield(appending)
            track.landed = True
        except Fenced:
            pass
        except TimeoutError:
            self.background(self._settle(request, queued, appending))
            raise broker_away() from None
        except asyncio.CancelledError:
            self.background(self._settle(request, queued, appending))
            raise
        finally:
            track.readers -= 1
            follower.tracks.forsake(track)
        if not seq:
            return await self._attach_same(request.rid, queued.body)
        self.endings.see_to(track)
        code = await self.queue.put(request, seq, track)
        if code is not None and refusable and await self.endings.fail(request, seq, code):
            await _told(track)
            raise self.queue.refusal(code, request)
        return track

    async def _settle(self, request: Request, queued: Queued, appending: asyncio.Task[int]) -> None:
        """See to an anchor that may land when nobody waits for it any more.

        Who has a key comes back for it; of the others nobody can, so it is ended.
        """
        try:
            await appending
        except Fenced:  # by another try of the same request, or by our own that had landed
            pass
        while True:
            try:
                run = await self.logs.look(request.rid)
                break
            except MeshError:  # the broker is back, and perhaps not for long
                await asyncio.sleep(1.0)
        if run is None or run.queued is None or run.queued.uid != queued.uid or run.n or run.end:
            return
        if queued.body:
            await self.take_back(request.rid)
        else:
            await self.endings.fail(request, run.last, ErrorCode.BROKER_UNAVAILABLE)

    async def _attach_same(self, rid: str, body: str) -> Track:
        track = await self.logs.find(rid)
        if track is None:
            raise MeshError(ErrorCode.CONFLICT, "This idempotency key has just expired; try again.")
        await self._same(track, body)
        if isinstance(track.run.end, Failed) and void(track.run):  # where it was queued first
            raise refusal(track.run.end)
        return track

    async def _same(self, track: Track, body: str) -> Track:
        """Attach to a request that was queued already, if it is the same one.

        One that has ended is followed no longer: its track is whole, and whoever asked has it.
        """
        with self.logs.reading(track):
            found = await self._first_event(track)
            if found.body != body:
                raise led_elsewhere()
            if track.run.n == 0 and track.run.end is None:
                self.endings.see_to(track)
                await self.queue.put(found.request, track.run.queued_at, track)
            return track

    async def _first_event(self, track: Track) -> Queued:
        """What was queued; it may still be on its way back to us."""
        try:
            async with asyncio.timeout(PATIENCE):
                while track.run.queued is None:
                    await track.changed()
                return track.run.queued
        except TimeoutError:
            raise broker_away() from None

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("A background task failed", exc_info=task.exception())


async def _told(track: Track) -> None:
    """Wait until we have heard of an end ourselves, for whoever asks again at once."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await track.until(lambda run: run.end is not None or run.cancel)


def is_orphan(run: Run) -> bool:
    """Whether nobody could come back for an answer, once its first connection is lost."""
    return run.queued is not None and run.queued.turn is None and not run.queued.body
