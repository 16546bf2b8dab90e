"""What was heard of one answer, and when: kept up to date on the client's loop, read from anywhere.

It draws nothing and asks nobody; `Answer` adds what one can do with it.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from mesh_client.errors import MeshClientError, Rejected, no_such_model
from mesh_client.events import End, Event, Failed, Finished, Pending, Reconnecting, Token
from mesh_client.objects import Message, Stop

Phase = Literal["sending", "waiting", "answering", "reconnecting", "ended"]
ENDS = ("complete", "cancelled", "failed", "refused")


class Heard(Struct, frozen=True):
    """Something that happened to an answer, `at` seconds after it was asked for."""

    at: float
    kind: str
    detail: str = ""


class Hearing:
    """One answer as far as it was heard of."""

    def __init__(self, question: str, model: str = "") -> None:
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
        self._model = model
        self._began = time.perf_counter()
        self._waiters: list[asyncio.Future[None]] = []

    # --- what is known ----------------------------------------------------------------------------

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

    # --- on the client's loop ---------------------------------------------------------------------

    def hear(self, event: Event) -> None:
        """Take in an event of its stream."""
        match event:
            case Token(text=text):
                if not self.pieces:
                    self.note("first token", "")
                self.phase, self.before = "answering", 0
                self.pieces.append(text)
                self.times.append(self._now())
            case Pending(queue_position=before):
                self.phase = "waiting"
                if before != self.before:
                    self.note("waiting", f"{before} before this one")
                self.before = before
            case Reconnecting(reason=reason):
                if self.phase != "reconnecting":
                    self.note("lost the gateway", reason)
                self.phase = "reconnecting"
            case Finished(state=state, tokens=tokens):
                self.end = event
                self.note(state, f"{tokens} tokens")
            case Failed(sentence=sentence):
                self.end = event
                self.note("failed", sentence)
        self.news()

    def refuse(self, error: MeshClientError) -> None:
        """It was not begun, or cannot be read any more."""
        self.error = _in_our_words(error, self.model)
        self.note("refused", self.error.sentence)
        self.close()

    def close(self) -> None:
        """There is nothing more to hear of it."""
        self.phase = "ended"
        self.cancel_token = ""
        self.news()

    def tell_token(self, token: str) -> None:
        """A Stop button may use this now."""
        self.cancel_token = token
        self.news()

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

    def note(self, kind: str, detail: str = "") -> None:
        """Keep that something happened, now."""
        self.heard_of.append(Heard(self._now(), kind, detail))

    def _now(self) -> float:
        return time.perf_counter() - self._began

    def news(self) -> None:
        """Wake who waits for a newer version."""
        self.version += 1
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


def _in_our_words(error: MeshClientError, model: str) -> MeshClientError:
    """A refusal as a notebook tells it."""
    if not isinstance(error, Rejected) or error.code != "model_not_found":
        return error
    return Rejected(
        no_such_model(model, "`%mesh status`"),
        status=error.status,
        code=error.code,
        request_id=error.request_id,
    )
