"""The worker's desk: takes prompts off the queue, keeps them its own while it works, clears up.

Which of them are its to answer is decided by the claims; how one is answered, by `Answer`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from mesh.bus.connection import Bus, BusError
from mesh.bus.frame_writers import FrameWriters
from mesh.bus.frames import Unwritten
from mesh.bus.jetstream import JetStream
from mesh.bus.lasting import Lasting
from mesh.bus.pull import Item, ack, in_progress, nak, term
from mesh.bus.trace import SPAN, TRACE
from mesh.protocol.events import Done
from mesh.protocol.trace_context import TraceContext
from mesh.worker.answer import Answer, HandedOver, Patience
from mesh.worker.claim import Claims, Deferred, Held, Settled
from mesh.worker.engines.base import Engine
from mesh.worker.failures import Outage
from mesh.worker.gaps import Gaps
from mesh.worker.meter import Meter
from mesh.worker.prompt import PromptBuilder

log = logging.getLogger(__name__)

ACK_TRIES = 5
"""Tries to acknowledge; failing them, the item comes again and is found to be answered."""

HANDING_OVER = 10.0
"""Seconds that handing over may take, above all while the broker is away."""

RETRY_DELAY = 0.2
"""Seconds before a request that is handed over is given out again."""


class NotReady(Exception):
    """The model cannot be had at the moment: its prompts are for others, or for later."""


class Desk:
    """At most as many requests at once as the engine has slots.

    `stuck` is set when the engine has stalled on everything, or says itself that it is broken;
    `left_behind`: it has not let go of some answer, and so of this process, when it was told to.
    ack_wait, in seconds, is the queue's patience, `patience` the one with the engine. `ready` is
    waited for before each claim; with NotReady it says that the model cannot be had just now.
    `freed` is called whenever a slot became free; `lasting` has what writes the answers.

    `at_work(True)` is called with the first answer, `at_work(False)` when the last is gone; not
    once the engine is stuck: the process leaves then.
    """

    def __init__(
        self,
        bus: Bus,
        js: JetStream,
        claims: Claims,
        engine: Engine,
        patience: Patience,
        ready: Callable[[], Awaitable[None]],
        freed: Callable[[], None],
        lasting: Lasting,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.ack_wait = 6.0
        self.stuck = asyncio.Event()
        self._patience = patience
        self._bus = bus
        self._claims = claims
        self._engine = engine
        self._ready = ready
        self._freed = freed
        self._clock = clock
        self._prompts = PromptBuilder(engine)
        self._answers: dict[str, Answer] = {}
        self._claiming: dict[str, Item] = {}
        self._look_again: set[str] = set()
        self._frames = FrameWriters(js, claims.writer, self._unsayable, lasting)
        self._tasks: set[asyncio.Task[None]] = set()
        self._asides: set[asyncio.Task[None]] = set()
        self._meter = Meter()
        self._outage = Outage()
        self._storing = 0
        self.left_behind = False
        self.at_work: Callable[[bool], None] = lambda busy: None

    # --- what others want to know -----------------------------------------------------------------

    def free(self) -> int:
        """Slots without a request that may have one; fewer while the engine is to be spared."""
        free = self._engine.info.slots - len(self._tasks) + self._storing
        return self._outage.allowed(free)

    def running(self) -> int:
        return len(self._tasks)

    def holds(self, rid: str) -> bool:
        """Whether this worker is answering a request, or just about to. What its engine has stalled
        on it is not: others may have that."""
        answer = self._answers.get(rid)
        if answer is None:
            return rid in self._claiming
        return not answer.stalled(time.monotonic())

    def has_passed_on(self, rid: str) -> bool:
        """Whether this worker has left a request to others, and not because of its engine."""
        return self._claims.has_passed_on(rid)

    @property
    def gaps(self) -> Mapping[str, Gaps]:
        """By model, between the tokens of its answers."""
        return self._meter.gaps

    def speed(self) -> float:
        """Tokens per second over the last seconds."""
        return self._meter.speed()

    # --- what comes in ----------------------------------------------------------------------------

    def take(self, item: Item) -> None:
        """Begin with an item of the queue, unless it is ours already or there is no slot."""
        rid = item.prompt.request.rid
        if rid in self._answers or rid in self._claiming:
            return  # its renewal was late; it comes again should we not see it through
        if self.free() <= 0:
            self._aside(self._give_back(item, 0.0))  # it tells us that somebody waits there
            return
        self._claiming[rid] = item
        self._outage.begun(rid)
        task = asyncio.create_task(self._handle(item))
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._outage.over(rid))
        task.add_done_callback(self._done)

    def seat(self) -> None:
        """The engine drives another model now; nothing may be under way."""
        self._prompts = PromptBuilder(self._engine)
        self._outage.well()
        self._claims.fingerprint = self._engine.info.fingerprint

    async def empty(self, grace: float) -> None:
        """As `drain`, but wait until nothing is left, however long that takes."""
        await self.drain(grace)
        while self._tasks:
            await self.drain(0.0)

    def spoilt(self, ack_reply: str, why: str) -> None:
        """Remove an item that nobody can read from the queue."""
        log.error("A prompt in the queue cannot be read and is removed: %s", why)
        self._aside(term(self._bus, ack_reply))

    def cancel(self, rid: str) -> None:
        """Look whether a request's log asks to stop it; also one whose claim is on its way back."""
        answer = self._answers.get(rid)
        if answer is not None:
            self._aside(answer.check())
        elif rid in self._claiming:
            self._look_again.add(rid)

    async def drain(self, grace: float) -> None:
        """Let running answers finish for `grace` seconds, then hand the rest over.

        Those that no other worker could go on with are finished, however long they take: each
        has a deadline.
        """
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        until = time.monotonic() + HANDING_OVER
        while self._tasks and (time.monotonic() < until or self._bound()):
            for answer in self._answers.values():
                answer.hand_over()
            await asyncio.wait(self._tasks, timeout=1.0)

    def _bound(self) -> bool:
        """Whether an answer can only be finished here, and its end be told."""
        return self._bus.connected and any(not each.movable for each in self._answers.values())

    def close(self) -> None:
        """Let go of everything; what was not acknowledged comes to another worker by itself."""
        for task in [*self._asides, *self._tasks]:
            task.cancel()

    def doubt(self) -> None:
        """What we were told may not have been heard, as where the connection broke: ask the log
        whether each pen is still ours, and whether somebody has asked to stop."""
        self._look_again.update(self._claiming)
        for answer in self._answers.values():
            self._aside(answer.check())

    async def keep_alive(self) -> None:
        """Renew the queue's patience for what is being worked on, until cancelled.

        What the engine has stalled on is not: should this worker fail to give it back, the queue
        gives it to another. A gap in our own time longer than that patience means that we were
        paused and may have lost our claims: ask before going on.
        """
        last = time.monotonic()
        while True:
            await asyncio.sleep(self.ack_wait / 3)
            now = time.monotonic()
            if now - last > self.ack_wait:
                log.warning("This process was paused for %.1f s; asking for its claims", now - last)
                self.doubt()
            last = now
            await self._renew()

    async def watch_engine(self) -> None:
        """Leave to others what the engine has stalled on, until cancelled.

        If that is all there is, the engine itself is stuck.
        """
        every = min(1.0, self._patience.first / 4, self._patience.between / 4)
        while True:
            await asyncio.sleep(every)
            now = time.monotonic()
            at_it = [answer for answer in self._answers.values() if answer.generating]
            if any(answer.goes_well(self._outage.failed_at) for answer in at_it):
                self._outage.well()
            stalled = [answer for answer in at_it if answer.stalled(now)]
            if stalled and len(stalled) == len(at_it):
                self.stuck.set()
            for answer in stalled:
                answer.leave_stalled()

    # --- one item ---------------------------------------------------------------------------------

    async def _handle(self, item: Item) -> None:
        request = item.prompt.request
        TRACE.set(request.trace)
        SPAN.set(TraceContext(request.traceparent, request.tracestate))
        try:
            held = await self._claim(item)
            # No pause in between: what is neither being claimed nor answered is not held.
            answer = None if held is None else self._seat_down(held)
        finally:
            self._look_again.discard(request.rid)
        if answer is not None:
            await self._answer(answer)

    async def _claim(self, item: Item) -> Held | None:
        """Claim an item; None where it is not ours to answer, or not now."""
        rid = item.prompt.request.rid
        try:
            await self._ready()
            return await self._claims.claim(item)
        except NotReady:
            await self._give_back(item)
        except Deferred as why:
            log.debug("%s goes back to the queue: %s", rid, why)
            self._outage.deferred()
            await self._give_back(item, why.delay)
        except Settled as settled:
            log.debug("%s: %s", rid, settled)
            if settled.ack:
                await self._acknowledge(item)
        finally:
            del self._claiming[rid]
        return None

    def _seat_down(self, held: Held) -> Answer:
        """Take the place of an answer that is about to begin."""
        request = held.item.prompt.request
        answer = Answer(
            held,
            self._claims,
            self._engine,
            self._prompts,
            self._frames.at(request.reply),
            self._meter,
            self._patience,
            self._clock,
        )
        self._answers[request.rid] = answer
        if len(self._answers) == 1:
            self.at_work(True)
        if request.rid in self._look_again:
            self._aside(answer.check())
        return answer

    async def _answer(self, answer: Answer) -> None:
        """Work on an answer up to its end, or until others are to go on with it."""
        item = answer.held.item
        request = item.prompt.request
        frames = self._frames.at(request.reply)
        try:
            end = await answer.work()
            if isinstance(end, Done):
                self._outage.well()
            with self._slot_given_up():
                if end is not None and await answer.finish(end):
                    await self._acknowledge(item)
        except HandedOver as why:
            log.info("%s goes to another worker: %s", request.rid, why)
            with suppress(Unwritten):
                await frames.stored(request.rid, answer.held.n)
            if why.failed:
                self._claims.failed_on(request.rid)
            else:
                self._claims.pass_on(request.rid)
            await self._give_back(item)
        except Unwritten as why:
            log.error("%s goes to another worker: %s", request.rid, why)
            await self._give_back(item)
        finally:
            self._get_up(answer)

    def _get_up(self, answer: Answer) -> None:
        """Leave the place of an answer, and what was kept for it alone."""
        self._answers.pop(answer.rid, None)
        if answer.engine_failed and (pause := self._outage.failed(answer.rid)):
            log.warning("The engine has failed and is spared for %.1f s", pause)
        needed = {each.held.item.prompt.request.reply for each in self._answers.values()}
        self._frames.let_go(needed)
        self.left_behind = self.left_behind or answer.left_behind
        if answer.engine_broken:
            self.stuck.set()
        if not (self._answers or self.stuck.is_set()):
            self.at_work(False)

    @contextmanager
    def _slot_given_up(self) -> Iterator[None]:
        """The engine is done with an answer: let the next one in while its end is stored."""
        self._storing += 1
        self._freed()
        try:
            yield
        finally:
            self._storing -= 1

    async def _acknowledge(self, item: Item) -> None:
        for _ in range(ACK_TRIES):
            try:
                return await ack(self._bus, item.ack_reply)
            except BusError:
                await asyncio.sleep(RETRY_DELAY)

    async def _give_back(self, item: Item, delay: float = RETRY_DELAY) -> None:
        try:
            await nak(self._bus, item.ack_reply, delay)
        except BusError as error:
            log.debug("Could not give an item back; it comes again by itself: %s", error)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._freed()
        if not task.cancelled() and task.exception() is not None:
            log.error("An answer failed in the worker itself", exc_info=task.exception())

    async def _renew(self) -> None:
        now = time.monotonic()
        working = [each.held.item for each in self._answers.values() if not each.stalled(now)]
        for item in [*self._claiming.values(), *working]:
            try:
                await in_progress(self._bus, item.ack_reply)
            except BusError:
                return

    def _unsayable(self, rid: str) -> None:
        answer = self._answers.get(rid)
        if answer is not None:
            answer.leave_unsaid()

    def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)
