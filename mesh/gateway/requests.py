"""Accepts requests into the mesh, finds their logs again, and cancels them. Knows no HTTP.

A request is queued in the log first (its anchor), then put before the workers; whatever fails in
between is mended by whoever finds it: a second try of the same request, or its deadline.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

from msgspec.structs import replace

from mesh.bus.appender import Fenced, append_event, new_uid
from mesh.bus.connection import Bus, BusError
from mesh.bus.follow import Follower, OnEvent, Track
from mesh.bus.jetstream import STORE_FAILED, ApiError, JetStream
from mesh.bus.replay import last_event, story
from mesh.gateway.budget import LogBudget
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.messages import (
    Cancel,
    Cancelled,
    CancelRun,
    Failed,
    Prompt,
    Queued,
    Request,
    RunEvent,
    Turn,
)
from mesh.protocol.run import Run
from mesh.protocol.subjects import Writer

log = logging.getLogger(__name__)

OVERTIME = 5.0
"""Seconds past its deadline that the holder of a request is given to end it itself."""

BUSY = 5.0
"""Seconds after which to try again when the queue is full."""

PATIENCE = 10.0
"""Seconds that accepting a request may take before the broker counts as unavailable."""


class Requests:
    """The requests of one gateway, and those of others that its clients ask for."""

    def __init__(self, bus: Bus, js: JetStream, name: str, on_event: OnEvent) -> None:
        self.writer = Writer(bus.user, new_uid())
        self._bus = bus
        self._js = js
        self._name = name
        self._on_event = on_event
        self._followers: dict[str, Follower] = {}
        self._opening = asyncio.Lock()
        self._own: dict[str, tuple[Track, Request]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._budget = LogBudget(js)

    async def start(self) -> None:
        """Follow this gateway's own address. Raises BusError."""
        await self.follower(self._name)
        self.background(self._budget.watch())

    async def follower(self, reply: str) -> Follower:
        """The follower of a reply address, this gateway's own or another's. Raises BusError."""
        async with self._opening:
            if reply not in self._followers:
                follower = Follower(self._bus, self._js, reply, self._on_event)
                await follower.start()
                self._followers[reply] = follower
                self.background(follower.watch())
            return self._followers[reply]

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for; it is cancelled with `close`."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- accepting --------------------------------------------------------------------------------

    async def submit(self, request: Request, turn: Turn | None = None, body: str = "") -> Track:
        """Queue a request and follow it. `body`: digest of what was asked, for idempotency.

        A rid that is in the log already is not queued again: its track is returned. Raises
        MeshError: conflict (same rid, other body), too_large, queue_full, share_full,
        broker_unavailable.
        """
        request = replace(request, reply=self._name)
        queued = Queued(uid=new_uid(), request=request, turn=turn, body=body)
        if len(encode(queued)) + 1024 > self._bus.max_payload:
            raise MeshError(ErrorCode.TOO_LARGE)
        known = await self.again(request.rid, body) if body else None
        if known is not None:
            return known
        self._budget.check()
        return await self._begin(request, queued)

    async def again(self, rid: str, body: str) -> Track | None:
        """The request that was queued under an idempotency key before, or None.

        Raises MeshError: conflict (another body), broker_unavailable, and as `submit`.
        """
        track = await self.find(rid)
        return None if track is None else await self._same(track, body)

    async def check_room(self, model: str, tenant: str) -> None:
        """Raise MeshError (queue_full, share_full) if the queue would refuse a prompt now.

        For routes that must not leave a refused request in somebody's chat. It is the queue that
        decides in the end: of two who are told that there is room for one, one may be refused.
        """
        self._budget.check()
        subject = subjects.req(model, tenant)
        queue = await self._js.stream_info(subjects.REQ_STREAM, subject)
        mine, limits = queue.state.subjects.get(subject, 0), queue.config
        if 0 <= limits.max_msgs_per_subject <= mine:
            raise MeshError(ErrorCode.SHARE_FULL, retry_after=BUSY)
        if 0 <= limits.max_msgs <= queue.state.messages:
            raise MeshError(ErrorCode.QUEUE_FULL, retry_after=BUSY)

    async def _begin(self, request: Request, queued: Queued) -> Track:
        """Append the anchor and follow it, unless the same request comes from elsewhere just now.

        A track may be shared with another try of the same request: it stays while one is at it.
        """
        follower = self._followers[self._name]
        track = follower.get(request.rid) or follower.track(request.rid)
        track.readers += 1
        seq = 0
        try:
            async with asyncio.timeout(PATIENCE):
                seq = await self._append(request, queued, 0)
        except Fenced:
            pass
        except TimeoutError:
            raise MeshError(ErrorCode.BROKER_UNAVAILABLE, retry_after=2.0) from None
        finally:
            track.readers -= 1
            if not seq and not track.readers and track.run.queued is None:
                follower.drop(track)
        if not seq:
            return await self._attach_same(request.rid, queued.body)
        self._own[request.rid] = track, request
        await self._enqueue(request, seq)
        return track

    async def _attach_same(self, rid: str, body: str) -> Track:
        track = await self.find(rid)
        if track is None:
            raise MeshError(ErrorCode.CONFLICT, "This idempotency key has just expired; try again.")
        return await self._same(track, body)

    async def _same(self, track: Track, body: str) -> Track:
        """Attach to a request that was queued already, if it is the same one."""
        while track.run.queued is None:  # its first event is still on the way back to us
            await track.changed()
        found = track.run.queued
        if found.body != body:
            raise MeshError(
                ErrorCode.CONFLICT,
                "This idempotency key was used with another body; use a new key.",
            )
        if track.run.n == 0 and track.run.end is None:
            self._own.setdefault(track.rid, (track, found.request))
            await self._enqueue(found.request, track.run.last)
        return track

    async def _enqueue(self, request: Request, queued: int) -> None:
        """Put a queued request before the workers. Twice does no harm: one claim wins."""
        data = encode(Prompt(queued=queued, request=request))
        subject = subjects.req(request.model, request.tenant)
        while True:
            try:
                await self._js.append(subject, data, {"Nats-Msg-Id": f"{request.rid}.{queued}"})
                return
            except ApiError as error:
                code = _refusal(error)
                await self._fail(request, queued, code)
                raise MeshError(code, retry_after=BUSY) from error
            except BusError as error:
                if time.time() > request.deadline:
                    raise MeshError(ErrorCode.BROKER_UNAVAILABLE) from error
                await asyncio.sleep(0.2)

    async def _append(self, request: Request, event: RunEvent, expected: int) -> int:
        return await append_event(
            self._js, request.reply, request.rid, self.writer, event, expected
        )

    # --- finding ----------------------------------------------------------------------------------

    async def find(self, rid: str) -> Track | None:
        """The track of any request whose log is still kept, or None.

        Raises MeshError (broker_unavailable).
        """
        own = self._followers[self._name].get(rid)
        if own is not None and own.run.queued is not None:
            return own
        try:
            async with asyncio.timeout(PATIENCE):
                last = await last_event(self._js, rid)
                if last is None:
                    return None
                reply = subjects.parse_run(last.subject).reply
                return await (await self.follower(reply)).attach(rid)
        except (BusError, TimeoutError) as error:
            raise MeshError(ErrorCode.BROKER_UNAVAILABLE, retry_after=2.0) from error

    async def look(self, rid: str) -> Run | None:
        """How any request stands, live or by its events alone, or None. Nothing is followed.

        Raises MeshError (broker_unavailable).
        """
        own = self._followers[self._name].get(rid)
        if own is not None and own.run.queued is not None:
            return own.run
        try:
            async with asyncio.timeout(PATIENCE):
                return await story(self._js, rid)
        except (BusError, TimeoutError) as error:
            raise MeshError(ErrorCode.BROKER_UNAVAILABLE, retry_after=2.0) from error

    def release(self, track: Track) -> None:
        """A reader has left: forget what has ended and is read by nobody."""
        track.readers -= 1
        if track.run.end is not None and not track.readers:
            for follower in self._followers.values():
                follower.drop(track)

    # --- ending -----------------------------------------------------------------------------------

    async def cancel(self, track: Track, by: str = "") -> None:
        """Ask for a request's end, durably; wait for `track.run.end` to see it happen.

        A request that nobody has claimed ends here and now; otherwise its holder, or whoever
        takes it over, ends it with the count of what it wrote.
        """
        while track.run.end is None and not track.run.cancel:
            run = track.run
            if run.queued is None:  # its first event is still on the way back to us
                await track.changed()
                continue
            last = run.last  # what it is now: the run goes on while we append
            event: RunEvent = Cancelled(uid=new_uid(), text=run.text)
            if run.pen is not None:
                event = Cancel(uid=new_uid(), by=by)
            try:
                await self._append(run.queued.request, event, last)
                break
            except Fenced:
                await self._moved(track, last)
        await self._tell(track)

    def hang_up(self, track: Track) -> None:
        """Cancel, in the background, because the client of a route that wants this has left."""
        if track.run.end is None:
            self.background(self.cancel(track, "hang-up"))

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
        while track.run.last <= last and track.run.end is None:
            await track.changed()

    async def end_overdue(self) -> None:
        """End this gateway's requests that nobody has ended by their deadline; until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            now = time.time()
            for rid, (track, request) in list(self._own.items()):
                if track.run.end is not None:
                    del self._own[rid]
                elif now > request.deadline + (OVERTIME if track.run.n else 0.0):
                    self.background(self._overdue(track, request))

    async def _overdue(self, track: Track, request: Request) -> None:
        run = track.run
        if run.end is None and run.last:
            await self._fail(request, run.last, ErrorCode.DEADLINE_EXCEEDED, run.text, run.n)

    async def _fail(
        self, request: Request, expected: int, code: ErrorCode, text: str = "", n: int = 0
    ) -> None:
        event = Failed(uid=new_uid(), code=code, detail=code.sentence, text=text, n=n)
        try:
            await self._append(request, event, expected)
        except Fenced:
            log.debug("%s moved on before it could be ended", request.rid)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("A background task failed", exc_info=task.exception())


def _refusal(error: ApiError) -> ErrorCode:
    """Which limit of the queue refused a prompt: the tenant's, or everybody's."""
    if error.code != STORE_FAILED:
        log.error("The queue refused a prompt: %s", error)
    per_subject = "per subject" in error.description
    return ErrorCode.SHARE_FULL if per_subject else ErrorCode.QUEUE_FULL
