"""One answer, from its claim to its end: generate, log every piece, finish, acknowledge.

Stop strings, the deadline, cancelling and handing over are decided here; which tokens come is
the engine's affair, and who may write them that of the claims.
"""

import asyncio
import logging
import time
from contextlib import aclosing
from hashlib import sha256
from itertools import chain
from typing import Literal, NamedTuple

import msgspec

from mesh.bus.appender import Fenced, FrameWriter, new_uid
from mesh.protocol.abilities import lacking
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.messages import (
    Cancelled,
    Done,
    End,
    Failed,
    Odds,
    Request,
    Timings,
    Usage,
)
from mesh.protocol.run import Run
from mesh.worker.claim import Claims, Held
from mesh.worker.engines.base import Engine, EngineBroken, EngineError, Job, Step
from mesh.worker.gate import Gate, Piece, has_stopped
from mesh.worker.meter import Meter
from mesh.worker.prompt import BuiltPrompt, PromptBuilder

log = logging.getLogger(__name__)

MAX_CLAIMS = 3
"""Claims on a request after which an engine's failure is the request's own."""


Why = Literal["", "cancel", "hand_over", "outclaimed", "stalled"]
"""What interrupted an answer."""


class Patience(NamedTuple):
    """When to give up. first, between: seconds that the engine may take to the first step of an
    answer, and between two; losses: workers that may be lost on it at the same place.
    """

    first: float
    between: float
    losses: int


class Poison(Exception):
    """The request seems to take its workers down; it must not reach this engine."""


class HandedOver(Exception):
    """The answer is left as it stands, for another worker to go on with."""


class Answer:
    """An answer in this worker's hands: `work`, then `finish`. `cancel`, `hand_over` end it early.

    The engine counts as stalled on it after `patience` seconds without a sign of life.
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
    ) -> None:
        self.held = held
        self._claims = claims
        self._engine = engine
        self._prompts = prompts
        self._frames = frames
        self._meter = meter
        self._patience = patience
        self._request: Request = held.item.prompt.request
        self._likely = self._request.sampling.logprobs is not None
        self._pieces: list[Piece] = []
        self._usage = Usage()
        self._claimed = time.time()
        self._first: float | None = None
        self._truncated = 0
        self._generating: asyncio.Task[Literal["stop", "length"]] | None = None
        self._lost = 0
        self._why: Why = "cancel" if held.cancel else ""
        self._stepped = time.monotonic()
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
        return self._engine.info.continues or not self._pieces

    def hand_over(self) -> None:
        """Stop at this token and leave the rest to another worker, if it is movable."""
        if self.movable:
            self._interrupt("hand_over")

    def stalled(self, now: float) -> bool:
        """Whether the engine has said nothing for too long. now: time.monotonic()."""
        limit = self._patience.first if self._first is None else self._patience.between
        return now - self._stepped > limit and not self._frames.full

    def leave_stalled(self) -> None:
        """Leave it to another worker, as if the engine had failed on it."""
        self._interrupt("stalled")

    async def check(self) -> None:
        """Ask the log whether the pen is still ours, and stop if it is not."""
        status = await self._claims.status(self.rid)
        if status.end or status.n > self.held.n or status.last == 0:
            self._interrupt("outclaimed")
        elif status.cancel:
            self._interrupt("cancel")

    async def finish(self, end: End) -> bool:
        """Store the end that `work` gave, behind all pieces.

        True once it stands in the log; False if the request is another's now.
        """
        await self._frames.stored(self._frames.mark)
        return await self._finish(end)

    async def work(self) -> End | None:
        """Generate up to the end; the engine is done with it then. None: it is another's now.

        Raises HandedOver when another worker is to go on.
        """
        try:
            await self._take_over()
            self._refuse_impossible()
            self._refuse_unable()
            finish = await self._generate()
            return self._end(Done(uid=new_uid(), finish=finish, truncated=self._truncated))
        except asyncio.CancelledError:
            return self._interrupted()
        except TimeoutError:
            return self._failed(ErrorCode.DEADLINE_EXCEEDED)
        except MeshError as error:
            return self._failed(error.code, error.detail, error.param)
        except EngineError as error:
            self.engine_broken = isinstance(error, EngineBroken)
            return self._given_up(str(error))
        except Poison as poison:
            return self._failed(ErrorCode.WORKER_LOST, str(poison), poison=True)
        except HandedOver:
            raise
        except Exception as error:  # whatever an engine may throw
            log.exception("The engine broke down on %s", self.rid)
            return self._given_up(f"The engine broke down: {type(error).__name__}.")

    def _given_up(self, why: str) -> End:
        """The engine failed here: let another try, unless enough have. Raises HandedOver."""
        log.warning("The engine failed on %s: %s", self.rid, why)
        if self.held.n < MAX_CLAIMS and self.movable:
            raise HandedOver(why)
        return self._failed(ErrorCode.ENGINE_FAILED, why, poison=self.held.n >= MAX_CLAIMS)

    async def _take_over(self) -> None:
        """Get the pieces that earlier holders of the pen have delivered."""
        if not self.held.taken_over:
            return
        status = await self._claims.status(self.rid, prefix=True)
        ids: list[tuple[int, ...] | None] = [None] * len(status.texts)
        mine = self._engine.info.fingerprint
        if status.ids is not None and all(theirs == mine for theirs in status.fingerprints):
            ids = list(status.ids)  # else their ids mean something else here: go on by the text
        self._pieces = [Piece(text, ids[k]) for k, text in enumerate(status.texts)]
        if status.n != self.held.n:
            self._why = "outclaimed"
        self._lost = status.lost

    def _refuse_impossible(self) -> None:
        if self._why:
            raise asyncio.CancelledError
        if self._lost >= self._patience.losses:
            raise Poison(
                f"{self._lost} workers were lost while they worked on this request, so it is not "
                "tried again."
            )
        if time.time() >= self._request.deadline:
            raise TimeoutError
        if self._pieces and not self._engine.info.continues:
            raise MeshError(ErrorCode.WORKER_LOST)

    def _refuse_unable(self) -> None:
        info = self._engine.info
        error = lacking(self._request, tuple(info.abilities))
        if error is not None:
            raise error

    async def _generate(self) -> Literal["stop", "length"]:
        self._generating = asyncio.create_task(self._drive())
        async with asyncio.timeout(self._request.deadline - time.time()):
            return await self._generating

    async def _drive(self) -> Literal["stop", "length"]:
        # A long prompt takes a while to render and encode; the other answers go on meanwhile.
        built = await asyncio.to_thread(self._prompts.build, self._request)
        self._truncated = built.truncated
        self._usage = Usage(prompt_tokens=len(built.ids))
        left = built.max_tokens - self._tokens()
        if has_stopped(self._pieces):
            return "stop"
        return await self._stream(self._job(built, left)) if left > 0 else "length"

    async def _stream(self, job: Job) -> Literal["stop", "length"]:
        gate = Gate(job.sampling.stop)
        async with aclosing(self._engine.generate(job)) as steps:
            async for step in steps:
                self._note(step)
                self._deliver(gate.feed(step.text, step.ids, step.odds))
                if gate.stopped:
                    return "stop"
                if step.finish:
                    self._deliver(gate.finish())
                    return "stop" if gate.stopped else step.finish
                if self._frames.full:
                    await self._frames.room()
                    self._stepped = time.monotonic()  # it was us who kept the engine waiting
        raise EngineError("the engine ended without saying why")

    def _job(self, built: BuiltPrompt, left: int) -> Job:
        request = self._request
        known = [piece.ids for piece in self._pieces if piece.ids is not None]
        prefix_ids = tuple(chain.from_iterable(known)) if len(known) == len(self._pieces) else None
        seed = request.sampling.seed
        return Job(
            rid=request.rid,
            messages=built.messages,
            prompt=built.text,
            prompt_ids=built.ids,
            prefix_text="".join(piece.text for piece in self._pieces),
            prefix_ids=prefix_ids,
            sampling=request.sampling,
            max_tokens=left,
            seed=int(sha256(request.rid.encode()).hexdigest()[:8], 16) if seed is None else seed,
            grammar=request.grammar,
        )

    def _note(self, step: Step) -> None:
        self._stepped = time.monotonic()
        if self._first is None:
            self._first = time.time()
        if step.prompt_tokens is not None:
            self._usage = Usage(
                prompt_tokens=step.prompt_tokens, cached_tokens=step.cached_tokens or 0
            )

    def _deliver(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            text, ids, odds = piece
            odds = (odds or Odds(0.0)) if self._likely else None
            self._frames.put(self.rid, self.held.n, len(self._pieces), text, ids, odds)
            self._pieces.append(piece)
            self._meter.tokens += 1 if ids is None else len(ids)

    # --- the end ----------------------------------------------------------------------------------

    def _interrupt(self, why: Why) -> None:
        self._why = self._why or why
        if self._generating is not None:
            self._generating.cancel()

    def _interrupted(self) -> End | None:
        match self._why:
            case "cancel":
                return self._end(Cancelled(uid=new_uid()))
            case "outclaimed":
                return None
            case "hand_over":
                raise HandedOver("this worker is leaving")
            case "stalled":
                return self._given_up("The engine stalled: it has made no step for too long.")
        raise asyncio.CancelledError

    def _failed(
        self, code: ErrorCode, detail: str = "", param: str | None = None, poison: bool = False
    ) -> End:
        detail = detail or code.sentence
        return self._end(
            Failed(uid=new_uid(), code=code, detail=detail, param=param, poison=poison)
        )

    def _end(self, end: End) -> End:
        """Fill in what all ends have in common."""
        run = Run(texts=[piece.text for piece in self._pieces])
        run.ids = [piece.ids for piece in self._pieces if piece.ids is not None]
        if len(run.ids) < len(run.texts):
            run.ids = None
        now, first = time.time(), self._first
        return msgspec.structs.replace(
            end,
            text=run.text,
            usage=msgspec.structs.replace(self._usage, completion_tokens=self._tokens()),
            timings=Timings(
                queue=max(0.0, self._claimed - self._request.created),
                first_token=None if first is None else first - self._claimed,
                generate=0.0 if first is None else now - first,
            ),
            seal=run.seal(),
            n=self.held.n,
        )

    def _tokens(self) -> int:
        return sum(1 if piece.ids is None else len(piece.ids) for piece in self._pieces)

    async def _finish(self, end: End) -> bool:
        """Append the terminal event. A cancel that came first turns it into `cancelled`."""
        while True:
            try:
                await self._claims.append(self.held.item, end, self.held.last)
                return True
            except Fenced:
                status = await self._claims.status(self.rid)
            if status.end_uid == end.uid:
                return True
            if status.end or status.n != self.held.n or status.last == 0:
                return False
            if status.cancel and not isinstance(end, Cancelled):
                end = self._end(Cancelled(uid=new_uid()))
            self.held.last = status.last
