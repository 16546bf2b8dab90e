"""One answer, from its claim to its end: take over, generate, append the end. The desk then acks.

How it ends is decided here: as the engine says, cancelled, handed over or failed. The engine's work
on it is `generation.py`; who may write is the affair of the claims, what there is the draft's.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from msgspec.structs import replace

from mesh.bus.appender import Fenced, new_uid
from mesh.bus.connection import UNSAYABLE, Oversized
from mesh.bus.frames import FrameWriter, Unwritten
from mesh.protocol.abilities import lacking
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Cancelled, Done, End, Failed
from mesh.protocol.poison import Bounds, blamed
from mesh.protocol.request import Request
from mesh.worker.claim import Claims, Held, StatusRefused, StatusUnknown
from mesh.worker.draft import Draft
from mesh.worker.engines.base import Engine, EngineBroken, EngineError
from mesh.worker.failures import MAX_FAILURES
from mesh.worker.generation import Generation, Late
from mesh.worker.meter import Meter
from mesh.worker.prompt import PromptBuilder

log = logging.getLogger(__name__)

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


class HandedOver(Exception):
    """The answer is left as it stands, for another worker to go on with. failed: the engine did."""

    def __init__(self, why: str, failed: bool = False) -> None:
        super().__init__(why)
        self.failed = failed


class Answer:
    """An answer in this worker's hands: `work`, then `finish`.

    What ends it early: `check`, where the log asks for a cancel or has given the pen to another;
    `hand_over`, `leave_stalled` and `leave_unsaid`.

    The engine counts as stalled on it after `patience` seconds without a sign of life.
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
        self._frames = frames
        self._patience = patience
        self._clock = clock
        self._request: Request = held.item.prompt.request
        self._draft = Draft(self._request, held.n, meter.gaps[self._request.model], clock)
        self._generation = Generation(
            self._request, held.n, self._draft, engine, prompts, frames, meter, clock
        )
        self._blamed = 0
        self._whole = not held.taken_over
        self._why: Why = "cancel" if held.cancel else ""
        self.engine_failed = False
        self.engine_broken = False

    @property
    def rid(self) -> str:
        return self._request.rid

    @property
    def movable(self) -> bool:
        """Whether another worker could go on from here."""
        return self._engine.info.continues or not self._draft.texts

    def hand_over(self) -> None:
        """Stop at this token and leave the rest to another worker, if it is movable."""
        if self.movable:
            self._interrupt("hand_over")

    @property
    def generating(self) -> bool:
        """Whether the engine is at it: it has been asked, and has not come to its end."""
        return self._generation.running

    @property
    def left_behind(self) -> bool:
        """Whether the engine has not let go of it when it was told to: it holds it for ever."""
        return self._generation.left_behind

    def stalled(self, now: float) -> bool:
        """Whether the engine, being at it, has said nothing for too long. now: time.monotonic()."""
        limit = self._patience.first if self._draft.first is None else self._patience.between
        return self._generation.silent(now) > limit

    def goes_well(self, since: float) -> bool:
        """Whether the engine has been saying it for a while, and also since then. since:
        time.monotonic()."""
        return self._generation.goes_well(since)

    def leave_stalled(self) -> None:
        """Leave it to another worker, as if the engine had failed on it."""
        self._interrupt("stalled")

    def leave_unsaid(self) -> None:
        """End as failed: a part of it is not in the log, and never will be."""
        self._whole = False
        self._interrupt("unsayable")

    async def check(self) -> None:
        """Ask the log how it stands; stop if the pen is not ours any more or a cancel is asked."""
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
        await self._frames.stored(self.rid, self.held.n)
        return await self._finish(self._unsaid() if self._why == "unsayable" else end)

    async def work(self) -> End | None:
        """Generate up to the end; the engine is done with it then. None: it is another's now.

        Raises HandedOver when another worker is to go on, Unwritten when it cannot be written.
        """
        try:
            await self._take_over()
            self._refuse_impossible()
            self._refuse_unable()
            finish = await self._generation.run()
            done = Done(uid=new_uid(), finish=finish, truncated=self._generation.truncated)
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

    # --- the end ----------------------------------------------------------------------------------

    def _interrupt(self, why: Why) -> None:
        self._why = self._why or why
        self._generation.interrupt()

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
