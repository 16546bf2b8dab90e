"""One answer of a notebook: what was heard of it, when, and how to stop it. Draws nothing.

The client's loop keeps it up to date; everybody else may read it at any time.
"""

import asyncio
import time
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from mesh_client.async_client import AsyncAnswer
from mesh_client.errors import GenerationFailed, MeshClientError
from mesh_client.events import End, Event, Failed, Finished, Pending, Reconnecting, Token
from mesh_client.notebook.background import Background
from mesh_client.objects import Message, Stop

if TYPE_CHECKING:
    import pandas as pd

    from mesh_client.notebook.plots import Plot

Phase = Literal["sending", "waiting", "answering", "reconnecting", "ended"]


ENDS = ("complete", "cancelled", "failed", "refused")


class Heard(Struct, frozen=True):
    """Something that happened to an answer, `at` seconds after it was asked for."""

    at: float
    kind: str
    detail: str = ""


class Answer:
    """Asked for, and perhaps still being written. `str(answer)` is its text so far."""

    def __init__(self, question: str, background: Background, model: str = "") -> None:
        self.question = question
        self.asked_at = datetime.now(UTC)
        self.phase: Phase = "sending"
        self.pieces: list[str] = []
        self.times: list[float] = []
        """Seconds from the asking to each piece."""
        self.heard_of: list[Heard] = [Heard(0.0, "asked")]
        self.before = 0
        """Requests that wait before this one."""
        self.cancel_token = ""
        self.end: End | None = None
        self.error: MeshClientError | None = None
        self.stopped: Stop | None = None
        self.version = 0
        self.shown_in = -1
        """The execution count of the cell that shows it."""
        self._model = model
        self._began = time.perf_counter()
        self._background = background
        self._remote: AsyncAnswer | None = None
        self._stop_wanted = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self._reading: Future[None] | None = None

    # --- what is known ----------------------------------------------------------------------------

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Answer: {self.summary or self.phase}>"

    def _ipython_display_(self) -> None:
        from mesh_client.notebook.showing import show_again

        show_again(self)

    @property
    def text(self) -> str:
        """What was written so far."""
        return "".join(self.pieces)

    @property
    def ended(self) -> bool:
        return self.phase == "ended"

    @property
    def message(self) -> Message | None:
        """What the mesh keeps of it, once it has ended."""
        return self.end.message if self.end else None

    @property
    def id(self) -> str:
        """The id of its message; "" until the gateway has accepted it."""
        return self._remote.id if self._remote else ""

    @property
    def chat_id(self) -> str:
        return self._remote.chat.id if self._remote else ""

    @property
    def model(self) -> str:
        """Who answers, as far as it is known."""
        return (self.message.model if self.message else "") or self._model

    @property
    def state(self) -> str:
        """`running`, `complete`, `cancelled`, `failed`, or `refused`: it was never begun."""
        match self.end:
            case Finished(state=state):
                return state
            case Failed():
                return "failed"
        return "refused" if self.error else "running"

    @property
    def tokens(self) -> int:
        """By the engine's count where it is known."""
        return self.end.tokens if isinstance(self.end, Finished) else len(self.pieces)

    @property
    def first_token(self) -> float | None:
        """Seconds from the asking to the first token."""
        return self.times[0] if self.times else None

    @property
    def seconds(self) -> float:
        """From the asking to its end, or until now."""
        ends = [heard.at for heard in self.heard_of if heard.kind in ENDS]
        return ends[0] if ends else self._now()

    @property
    def speed(self) -> float | None:
        """Tokens per second from its first token on, by the worker's clock once it has ended."""
        timings = self.message.timings if self.message else None
        if timings is not None and timings.generate > 0:
            return self.tokens / timings.generate
        if len(self.times) < 2 or self.times[-1] == self.times[0]:
            return None
        return (len(self.times) - 1) / (self.times[-1] - self.times[0])

    @property
    def sentence(self) -> str:
        """What went wrong; "": nothing."""
        if isinstance(self.end, Failed):
            return self.end.sentence
        return self.error.sentence if self.error else ""

    @property
    def summary(self) -> str:
        """Its figures in a line."""
        worker = self.message.worker if self.message else None
        parts = [
            self.model,
            f"{self.tokens} tokens" if self.pieces else "",
            f"{self.speed:.0f} tokens/s" if self.speed else "",
            f"first token after {self.first_token:.2f} s" if self.first_token else "",
            f"on {worker}" if worker else "",
        ]
        return " · ".join(filter(None, parts))

    def events_df(self) -> "pd.DataFrame":
        """What happened to it, and when."""
        from mesh_client.notebook.frames import heard

        return heard(self)

    def plot(self) -> "Plot":
        """Its time line: waiting, writing, pauses; and below, its tokens per second."""
        from mesh_client.notebook import plots

        return plots.one(self)

    # --- what one can do --------------------------------------------------------------------------

    def stop(self) -> Stop | None:
        """Stop it and wait until its worker has; None: it had not been begun."""
        return self._background.wait(self.stop_here())

    async def astop(self) -> Stop | None:
        """`stop` for event loops."""
        return await self._background.await_(self.stop_here())

    def stop_soon(self) -> None:
        """Stop it without waiting."""
        self._background.start(self.stop_here())

    def wait(self) -> "Answer":
        """Wait for its end. Raises what it failed with; an interruption stops it first."""
        assert self._reading is not None
        try:
            self._reading.result()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(str(self.stop() or "not begun")) from None
        return self._checked()

    async def await_(self) -> "Answer":
        """`wait` for event loops; who cancels it stops the answer."""
        assert self._reading is not None
        try:
            await asyncio.shield(asyncio.wrap_future(self._reading))
        except asyncio.CancelledError:
            self.stop_soon()
            raise
        return self._checked()

    def _checked(self) -> "Answer":
        if self.error is not None:
            raise self.error
        if isinstance(self.end, Failed):
            raise GenerationFailed(self.end.sentence, code=self.end.code, text=self.end.text)
        return self

    # --- on the client's loop ---------------------------------------------------------------------

    def read_by(self, reading: Future[None]) -> None:
        """Say who reads it."""
        self._reading = reading

    def accepted(self, remote: AsyncAnswer) -> None:
        """The gateway has begun it."""
        self._remote = remote
        self.phase = "waiting"
        self._note("accepted", "")
        self._changed()

    def hear(self, event: Event) -> None:
        """Take in an event of its stream."""
        match event:
            case Token(text=text):
                if not self.pieces:
                    self._note("first token", "")
                self.phase, self.before = "answering", 0
                self.pieces.append(text)
                self.times.append(self._now())
            case Pending(queue_position=before):
                self.phase = "waiting"
                if before != self.before:
                    self._note("waiting", f"{before} before this one")
                self.before = before
            case Reconnecting(reason=reason):
                if self.phase != "reconnecting":
                    self._note("lost the gateway", reason)
                self.phase = "reconnecting"
            case Finished(state=state, tokens=tokens):
                self.end = event
                self._note(state, f"{tokens} tokens")
            case Failed(sentence=sentence):
                self.end = event
                self._note("failed", sentence)
        self._changed()

    def refuse(self, error: MeshClientError) -> None:
        """It was not begun, or cannot be read any more."""
        self.error = error
        self._note("refused", error.sentence)
        self.close()

    def close(self) -> None:
        """There is nothing more to hear of it."""
        self.phase = "ended"
        self.cancel_token = ""
        self._changed()

    def tell_token(self, token: str) -> None:
        """A Stop button may use this now."""
        self.cancel_token = token
        self._changed()

    async def changed(self, seen: int) -> None:
        """Wait until there is a newer version than the one that was seen."""
        while self.version == seen:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    async def over(self) -> None:
        """Wait for its end."""
        while not self.ended:
            await self.changed(self.version)

    async def stop_here(self) -> Stop | None:
        """`stop` on the client's loop."""
        self._stop_wanted.set()
        seen = -1
        while self._remote is None and not self.ended:
            await self.changed(seen)
            seen = self.version
        if self._remote is None or self.stopped is not None:
            return self.stopped
        self.stopped = await self._remote.cancel()
        self._note("stopped", str(self.stopped))
        self._changed()
        return self.stopped

    @property
    def stop_wanted(self) -> bool:
        """Somebody asked to stop it before the gateway had begun it."""
        return self._stop_wanted.is_set()

    def _note(self, kind: str, detail: str) -> None:
        self.heard_of.append(Heard(self._now(), kind, detail))

    def _now(self) -> float:
        return time.perf_counter() - self._began

    def _changed(self) -> None:
        self.version += 1
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
