"""One answer, from its claim to its end: generate, log every piece, append the end. The desk
acknowledges.

Stop strings, the deadline, cancelling and handing over are decided here; which tokens come is
the engine's affair, who may write them that of the claims, and what there is so far the draft's.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Literal, NamedTuple

from msgspec.structs import replace

from mesh.bus.appender import Fenced, new_uid
from mesh.bus.connection import UNSAYABLE, Oversized
from mesh.bus.frames import FrameWriter, Unwritten
from mesh.protocol.abilities import lacking
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.messages import (
    Cancelled,
    Done,
    End,
    Failed,
    Odds,
    Request,
)
from mesh.protocol.poison import Bounds, blamed
from mesh.worker.claim import Claims, Held, StatusRefused, StatusUnknown
from mesh.worker.draft import Draft
from mesh.worker.engines.base import Engine, EngineBroken, EngineError, Job, Step
from mesh.worker.failures import MAX_FAILURES
from mesh.worker.gate import Gate, Piece, has_stopped
from mesh.worker.meter import Meter
from mesh.worker.parts import parts
from mesh.worker.prompt import PromptBuilder

log = logging.getLogger(__name__)

STEADY = 2.0
"""Seconds for which an engine has said an answer until it is seen to be well."""

LETTING_GO = 1.0
"""Seconds that an engine may take to let go of an answer; it is left behind with it then."""


Why = Literal["", "cancel", "hand_over", "outclaimed", "stalled", "unsayable"]
"""What interrupted an answer."""


class Patience(NamedTuple):
    """When to give up. first, between: seconds that the engine may take to the first step of an
    answer, and between two; losses: workers that may be lost on it.
    """

    first: float
    between: float
    losses: Bounds


class Poison(Exception):
    """The request seems to take its workers down; it must not reach this engine."""


class Late(Exception):
    """The time of the request is over. An engine's own TimeoutError is the engine's failure."""


class HandedOver(Exception):
    """The answer is left as it stands, for another worker to go on with. failed: the engine did."""

    def __init__(self, why: str, failed: bool = False) -> None:
        super().__init__(why)
        self.failed = failed


class Answer:
    """An answer in this worker's hands: `work`, then `finish`. `cancel`, `hand_over` end it early.

    The engine counts as stalled on it after `patience` seconds without a sign of life.
    `left_behind`: it has not let go of the answer when it was told to, and holds it for ever;
    `engine_failed`: it has failed on this; `engine_broken`: and on whatever else there may be.
    """

    def __init__(
        self,
        held: Held,
        claims: Claims,
        engine: Engine,
        prompts: PromptBuilder,
        frames: FrameWriter,
        meter: Meter,
        patience: Patience,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.held = held
        self._claims = claims
        self._engine = engine
        self._prompts = prompts
        self._frames = frames
        self._meter = meter
        self._patience = patience
        self._clock = clock
        self._request: Request = held.item.prompt.request
        self._likely = self._request.sampling.logprobs is not None
        self._draft = Draft(self._request, held.n, meter.gaps[self._request.model], clock)
        self._truncated = 0
        self._generating: asyncio.Task[Literal["stop", "length"]] | None = None
        self._awaited: asyncio.Future[Literal["stop", "length"]] | None = None
        self.left_behind = False
        self._blamed = 0
        self._whole = not held.taken_over
        self._why: Why = "cancel" if held.cancel else ""
        self._stepped = time.monotonic()
        self.engine_failed = False
        self.engine_broken = False

    @property
    def rid(self) -> str:
        return self._request.rid

    def cancel(self) -> None:
        """End as `cancelled`: the log asks for it."""
        self._interrupt("cancel")

    @property
    def movable(self) -> bool:
        """Whether another worker could go on from here."""
        return self._engine.info.continues or not self._draft.pieces

    def hand_over(self) -> None:
        """Stop at this token and leave the rest to another worker, if it is movable."""
        if self.movable:
            self._interrupt("hand_over")

    @property
    def generating(self) -> bool:
        """Whether the engine is at it: it has been asked, and has not come to its end."""
        return self._generating is not None and not self._generating.done()

    def stalled(self, now: float) -> bool:
        """Whether the engine, being at it, has said nothing for too long. now: time.monotonic()."""
        limit = self._patience.first if self._draft.first is None else self._patience.between
        return self.generating and now - self._stepped > limit and not self._frames.full

    def goes_well(self, since: float) -> bool:
        """Whether the engine has been saying it for a while, and also since then. since:
        time.monotonic()."""
        first = self._draft.first
        steady = first is not None and self._clock() - first > STEADY
        return steady and self.generating and self._stepped > since

    def leave_stalled(self) -> None:
        """Leave it to another worker, as if the engine had failed on it."""
        self._interrupt("stalled")

    def leave_unsaid(self) -> None:
        """End as failed: a part of it is not in the log, and never will be."""
        self._whole = False
        self._interrupt("unsayable")

    async def check(self) -> None:
        """Ask the log whether the pen is still ours, and stop if it is not."""
        try:
            status = await self._claims.status(self._request)
        except StatusUnknown as why:
            log.warning("%s: it goes on", why)
            return
        if status.end or status.n > self.held.n or status.last == 0:
            self._interrupt("outclaimed")
        elif status.cancel:
            self._interrupt("cancel")

    async def finish(self, end: End) -> bool:
        """Store the end that `work` gave, behind all pieces.

        True once it stands in the log; False if the request is another's now.
        """
        await self._frames.stored(self._frames.mark)
        return await self._finish(self._unsaid() if self._why == "unsayable" else end)

    async def work(self) -> End | None:
        """Generate up to the end; the engine is done with it then. None: it is another's now.

        Raises HandedOver when another worker is to go on, Unwritten when it cannot be written.
        """
        try:
            await self._take_over()
            self._refuse_impossible()
            self._refuse_unable()
            finish = await self._generate()
            done = Done(uid=new_uid(), finish=finish, truncated=self._truncated)
            return self._draft.sealed(done)
        except asyncio.CancelledError:
            return self._interrupted()
        except Late:
            return self._failed(ErrorCode.DEADLINE_EXCEEDED)
        except MeshError as error:
            return self._failed(error.code, error.detail, error.param)
        except EngineError as error:
            self.engine_broken = isinstance(error, EngineBroken)
            return self._given_up(str(error))
        except Poison as poison:
            return self._failed(ErrorCode.WORKER_LOST, str(poison), poison=True)
        except (HandedOver, Unwritten):
            raise
        except Exception as error:  # whatever an engine may throw
            log.exception("The engine broke down on %s", self.rid)
            return self._given_up(f"The engine broke down: {type(error).__name__}.")

    def _given_up(self, why: str) -> End:
        """The engine failed here: let another try, unless enough have. Raises HandedOver."""
        log.warning("The engine failed on %s: %s", self.rid, why)
        self.engine_failed = True
        enough = self.held.failures + 1 >= MAX_FAILURES
        if self.movable and not enough:
            raise HandedOver(why, failed=True)
        return self._failed(ErrorCode.ENGINE_FAILED, why, poison=enough)

    async def _take_over(self) -> None:
        """Get the pieces that earlier holders of the pen have delivered."""
        if not self.held.taken_over:
            return
        try:
            status = await self._claims.status(self._request, prefix=True)
        except StatusRefused as why:  # nor will whoever came next be told
            refusal = why.refusal
            raise MeshError(refusal.code, refusal.detail, param=refusal.param) from None
        except StatusUnknown as why:
            raise HandedOver(str(why)) from None
        self._draft.take_over(status, self._engine.info.fingerprint)
        self._whole = True
        if status.n != self.held.n:
            self._why = "outclaimed"
        bounds, losses = self._patience.losses, status.losses
        self._blamed = blamed(status.lost, status.lost_in_all, bounds)
        if self._blamed and 0 < len(losses) < bounds.in_all:
            self._blamed = await self._claims.blamed(losses, bounds, lambda: bool(self._why))

    def _refuse_impossible(self) -> None:
        if self._why:
            raise asyncio.CancelledError
        if self._blamed:
            raise Poison(
                f"{self._blamed} workers were lost while they worked on this request, so it is not "
                "tried again."
            )
        if self._clock() >= self._request.deadline:
            raise Late
        if not self.movable:
            raise MeshError(ErrorCode.WORKER_LOST)

    def _refuse_unable(self) -> None:
        info = self._engine.info
        error = lacking(self._request, tuple(info.abilities))
        if error is not None:
            raise error

    async def _generate(self) -> Literal["stop", "length"]:
        self._stepped = time.monotonic()
        self._generating = asyncio.create_task(self._drive())
        self._awaited = asyncio.shield(self._generating)
        time_left = asyncio.timeout(self._request.deadline - self._clock())
        try:
            async with time_left:
                return await self._awaited
        except TimeoutError as error:
            raise (Late() if time_left.expired() else error) from None
        finally:
            await self._let_go(self._generating)

    async def _let_go(self, generating: asyncio.Task[Literal["stop", "length"]]) -> None:
        """Have the engine end with it, if it has not. One that hangs keeps nobody waiting, and what
        it still says is not heard."""
        if generating.done():
            return
        generating.cancel()
        await asyncio.wait({generating}, timeout=LETTING_GO)
        self.left_behind = not generating.done()

    async def _drive(self) -> Literal["stop", "length"]:
        built = await self._prompts.prepare(self._request)
        self._truncated = built.truncated
        self._draft.prompted(built)
        left = built.max_tokens - self._draft.tokens()
        if has_stopped(self._draft.pieces):
            return "stop"
        return await self._stream(self._draft.job(built, left)) if left > 0 else "length"

    async def _stream(self, job: Job) -> Literal["stop", "length"]:
        gate, frames = Gate(job.sampling.stop), self._frames
        longest, largest = frames.longest, frames.largest
        async with aclosing(self._engine.generate(job)) as steps:
            async for step in steps:
                if self.left_behind:
                    raise asyncio.CancelledError
                self._note(step)
                fitted = self._deliver(gate.feed(step.text, step.ids, step.odds), longest, largest)
                if fitted and step.finish and not gate.stopped:
                    fitted = self._deliver(gate.finish(), longest, largest)
                if not fitted:
                    return "length"
                if gate.stopped:
                    return "stop"
                if step.finish:
                    return step.finish
                if frames.full:
                    await frames.room()
                    self._stepped = time.monotonic()  # it was us who kept the engine waiting
        raise EngineError("the engine ended without saying why")

    def _note(self, step: Step) -> None:
        self._stepped = time.monotonic()
        self._draft.note(step, self._stepped)

    def _deliver(self, pieces: list[Piece], longest: int, largest: int) -> bool:
        """Write pieces; false once the answer is too long for what would come next."""
        draft, rid, n = self._draft, self._request.rid, self.held.n
        for whole in pieces:
            for piece in parts(whole, largest):
                text, ids, odds = piece
                odds = (odds or Odds(0.0)) if self._likely else None
                self._frames.put(rid, n, len(draft.pieces), text, ids, odds)
                draft.add(piece)
                self._meter.tokens += 1 if ids is None else len(ids)
                if not draft.fits(longest):
                    return False
        return True

    # --- the end ----------------------------------------------------------------------------------

    def _interrupt(self, why: Why) -> None:
        self._why = self._why or why
        if self._awaited is not None and self.generating:
            self._awaited.cancel()

    def _interrupted(self) -> End | None:
        match self._why:
            case "cancel" if not self._whole:
                raise HandedOver("what was written before is not known here")
            case "cancel":
                return self._draft.sealed(Cancelled(uid=new_uid()))
            case "outclaimed":
                return None
            case "hand_over":
                raise HandedOver("this worker is leaving")
            case "unsayable":
                return self._unsaid()
            case "stalled":
                return self._given_up("The engine stalled: it has made no step for too long.")
        raise asyncio.CancelledError

    def _failed(
        self, code: ErrorCode, detail: str = "", param: str | None = None, poison: bool = False
    ) -> End:
        detail = detail or code.sentence
        return self._vouched(
            Failed(uid=new_uid(), code=code, detail=detail, param=param, poison=poison)
        )

    def _unsaid(self) -> End:
        """How an answer ends that the log cannot have."""
        return self._failed(ErrorCode.TOO_LARGE, UNSAYABLE)

    def _vouched(self, end: End) -> End:
        """An end with its seal, unless we have not heard what others wrote before us."""
        return self._draft.sealed(end) if self._whole else replace(end, n=self.held.n)

    async def _finish(self, end: End) -> bool:
        """Append the terminal event. A cancel that came first turns it into `cancelled`."""
        while True:
            try:
                await self._claims.append(self.held.item, end, self.held.last)
                return True
            except Fenced:
                pass
            except Oversized as error:
                log.error("The end of %s cannot be told: %s", self.rid, error)
                self._whole = False
                end = self._unsaid()
                continue
            try:
                status = await self._claims.status(self._request)
            except StatusUnknown as why:
                log.warning("%s: its end was refused, and is left to others", why)
                return False
            if status.end_uid == end.uid:
                return True
            if status.end or status.n != self.held.n or status.last == 0:
                return False
            if status.cancel and not isinstance(end, Cancelled):
                end = self._vouched(Cancelled(uid=new_uid()))
            self.held.last = status.last
