"""An engine's work on one answer: every piece that it says goes into the draft and on to the log.

Whether there is to be an answer, and what its end says, is decided elsewhere (`answer.py`): this is
over at a stop string, at the length, at the deadline, or because it was interrupted.
"""

import asyncio
import time
from collections.abc import Callable

from mesh.bus.frames import FrameWriter
from mesh.bus.open_entry import room
from mesh.protocol.frames import Odds
from mesh.protocol.request import Request
from mesh.worker.draft import Draft
from mesh.worker.engines.base import Engine, EngineError, Finish, Job, Step
from mesh.worker.gate import Gate, Ids, Piece, has_stopped
from mesh.worker.meter import Meter
from mesh.worker.parts import parts
from mesh.worker.prompt import PromptBuilder

STEADY = 2.0
"""Seconds for which an engine has said an answer until it is seen to be well."""

LETTING_GO = 1.0
"""Seconds that an engine may take to let go of an answer; it is left behind with it then."""

_SURE = Odds(0.0)
"""Of a piece whose engine says nothing of its odds, though they were asked for."""


class Late(Exception):
    """The time of the request is over. An engine's own TimeoutError is the engine's failure."""


class Generation:
    """One answer's. `run` once; `interrupt` has that raise CancelledError.

    n: of the claim under which it is written; truncated: messages that the prompt left out;
    left_behind: the engine has not let go of the answer when told to, and holds it for ever.
    """

    def __init__(
        self,
        request: Request,
        n: int,
        draft: Draft,
        engine: Engine,
        prompts: PromptBuilder,
        frames: FrameWriter,
        meter: Meter,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._request = request
        self._rid = request.rid
        self._n = n
        self._likely = request.sampling.logprobs is not None
        self._draft = draft
        self._engine = engine
        self._prompts = prompts
        self._frames = frames
        self._longest, self._largest = frames.longest, frames.largest
        self._meter = meter
        self._clock = clock
        self._task: asyncio.Task[Finish] | None = None
        self._awaited: asyncio.Future[Finish] | None = None
        self._stepped = time.monotonic()
        self._gate = Gate()
        self._finish: Finish | None = None
        self.truncated = 0
        self.left_behind = False

    @property
    def running(self) -> bool:
        """Whether the engine is at it: it has been asked, and has not come to its end."""
        return self._task is not None and not self._task.done()

    def silent(self, now: float) -> float:
        """Seconds for which the engine, being at it, has said nothing. now: time.monotonic()."""
        if not self.running:
            return 0.0
        if self.full:  # it is us who keep the engine waiting
            self._stepped = now
        return now - self._stepped

    def goes_well(self, since: float) -> bool:
        """Whether the engine has been saying it for a while, and also since then. since:
        time.monotonic()."""
        first = self._draft.first
        steady = first is not None and self._clock() - first > STEADY
        return steady and self.running and self._stepped > since

    def interrupt(self) -> None:
        """Stop at this token, if it runs."""
        if self._awaited is not None and self.running:
            self._awaited.cancel()

    async def run(self) -> Finish:
        """Generate up to the end; the engine is done with it then, or left behind.

        Raises Late at the request's deadline, MeshError where the request is at fault, EngineError
        and whatever an engine may throw, Unwritten when it cannot be written.
        """
        self._stepped = time.monotonic()
        self._task = asyncio.create_task(self._drive())
        self._awaited = asyncio.shield(self._task)
        time_left = asyncio.timeout(self._request.deadline - self._clock())
        try:
            async with time_left:
                return await self._awaited
        except TimeoutError as error:
            raise (Late() if time_left.expired() else error) from None
        finally:
            await self._let_go(self._task)
            self._draft.count_gaps()

    async def _let_go(self, task: asyncio.Task[Finish]) -> None:
        """Have the engine end with it, if it has not. One that hangs keeps nobody waiting, and what
        it still says is not heard."""
        if task.done():
            return
        task.cancel()
        await asyncio.wait({task}, timeout=LETTING_GO)
        self.left_behind = not task.done()

    async def _drive(self) -> Finish:
        built = await self._prompts.prepare(self._request)
        self.truncated = built.truncated
        self._draft.prompted(built)
        left = built.max_tokens - self._draft.tokens()
        if has_stopped(self._draft.pieces):
            return "stop"
        return await self._stream(self._draft.job(built, left)) if left > 0 else "length"

    async def _stream(self, job: Job) -> Finish:
        self._gate = Gate(job.sampling.stop)
        await self._engine.generate(job, self)
        if self._finish is None:
            raise EngineError("the engine ended without saying why")
        return self._finish

    # --- what the engine says ---------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """See Reader."""
        return self._frames.full

    def hear(self, step: Step) -> bool:
        """See Reader. Raises MeshError (too_large) for odds that no message of the broker takes."""
        if self._finish is not None or self.left_behind:
            return False
        now = self._stepped = time.monotonic()
        self._draft.note(step, now)
        gate = self._gate
        if gate.clear and step.text:
            fitted = self._say(step.text, step.ids, step.odds)
        else:
            fitted = self._say_all(gate.feed(step.text, step.ids, step.odds))
        if fitted and step.finish is not None and not gate.stopped:
            fitted = self._say_all(gate.finish())
        if not fitted:
            self._finish = "length"
        elif gate.stopped:
            self._finish = "stop"
        else:
            self._finish = step.finish
        return self._finish is None

    def _say_all(self, pieces: list[Piece]) -> bool:
        """Write pieces; false once the answer is too long for what would come next."""
        return all(self._say(*piece) for piece in pieces)

    def _say(self, text: str, ids: Ids, odds: Odds | None) -> bool:
        """Write a piece, in parts where it is large; false as in `_say_all`."""
        most = room(text, ids)
        if most <= self._largest and not self._likely:
            return self._write(text, ids, most, None)
        return all(
            self._write(*part[:2], room(*part[:2]), (part.odds or _SURE) if self._likely else None)
            for part in parts(Piece(text, ids, odds), self._largest)
        )

    def _write(self, text: str, ids: Ids, most: int, odds: Odds | None) -> bool:
        """Write a piece of so many bytes at most into the draft and on to the log."""
        draft = self._draft
        self._frames.put(self._rid, self._n, len(draft.texts), text, ids, odds)
        draft.add(text, ids, most)
        self._meter.tokens += 1 if ids is None else len(ids)
        return draft.at_most <= self._longest or draft.fits(self._longest)
