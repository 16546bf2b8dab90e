"""What happened: the events of a request's story, and of the workers."""

from typing import Literal

from msgspec.structs import force_setattr

from mesh.protocol.errors import ErrorCode
from mesh.protocol.numbers import Finite, Number, Small, seconds, tokens
from mesh.protocol.request import Charge, Request, Thoughts, Turn
from mesh.protocol.wire import Wire
from mesh.protocol.worker_info import WorkerInfo


class Usage(Wire, frozen=True, kw_only=True):
    """Tokens counted by the engine. `cached_tokens` of the prompt were not computed anew;
    `reasoning_tokens` of the completion were thoughts, where an upstream tells.

    Counts out of range are clamped to the nearest possible, by whoever makes or reads them.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def __post_init__(self) -> None:
        force_setattr(self, "prompt_tokens", tokens(self.prompt_tokens))
        force_setattr(self, "completion_tokens", tokens(self.completion_tokens))
        force_setattr(self, "cached_tokens", tokens(self.cached_tokens))
        force_setattr(self, "reasoning_tokens", tokens(self.reasoning_tokens))


class Timings(Wire, frozen=True, kw_only=True):
    """Seconds: waiting in the queue, from claim to first token, and from first token to the end.

    gap: the longest between two tokens, None where there were not two or nobody measured it. After
    a take-over they are those of the last worker; `queue` counts from the request. Times
    out of range, as a clock that was set makes them, are clamped to the nearest possible.
    """

    queue: float = 0.0
    first_token: float | None = None
    generate: float = 0.0
    gap: float | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "queue", seconds(self.queue))
        force_setattr(self, "generate", seconds(self.generate))
        if self.first_token is not None:
            force_setattr(self, "first_token", seconds(self.first_token))
        if self.gap is not None:
            force_setattr(self, "gap", seconds(self.gap))


class Seal(Wire, frozen=True, kw_only=True):
    """What the holder of the pen vouches for: pieces, and checksums of their text and ids.

    text: SHA-256 hex of the UTF-8 text; ids: SHA-256 hex of the ids in decimal joined by
    commas, or None where the engine does not give every id.
    """

    count: Number
    text: str
    ids: str | None = None


class Event(Wire, frozen=True, kw_only=True):
    """Base of the events. `uid` is unique per append, so a writer can recognise its own."""

    uid: str


class Queued(Event, frozen=True, kw_only=True, tag="queued"):
    """The request was accepted: the anchor of its story and of its idempotency key.

    `body` is a digest of what was asked, so that the same key with another body is noticed; `note`
    is what the route that took it wants to find again, in its own words; `charge`: who pays;
    `thoughts`: how the model marks them, None where nobody said.
    """

    request: Request
    turn: Turn | None = None
    body: str = ""
    note: str = ""
    charge: Charge | None = None
    thoughts: Thoughts | None = None


class Claim(Event, frozen=True, kw_only=True, tag="claim"):
    """A worker takes the pen with the next `n`; or a gateway, to end what nobody has ended in time,
    which repeats what else the claim before says.

    item: the queue item's stream sequence; fingerprint: of the worker's tokenizer and weights;
    lost: the holder before is gone without a word, and has not given it back; failures: so many of
    the claims before it ended because their engine had failed (None: whoever claims does not say).
    """

    n: Number
    item: Number
    ack_reply: str
    model: str
    fingerprint: str = ""
    lost: bool = False
    failures: Number | None = None


class Cancel(Event, frozen=True, kw_only=True, tag="cancel"):
    """Somebody asked to stop; whoever holds the request, now or later, ends it as cancelled.

    by: who, in words for people; withdrawn: a gateway took it back, because others that belong to
    it were refused, so that it counts for nothing.
    """

    by: str = ""
    withdrawn: bool = False


class Terminal(Event, frozen=True, kw_only=True):
    """What the three ends have in common. `seal` is there if the pen's holder wrote it, and knows
    what was written before. n: of the claim it was written under, 0: none."""

    text: str = ""
    usage: Usage = Usage()
    timings: Timings = Timings()
    seal: Seal | None = None
    n: Number = 0


class Done(Terminal, frozen=True, kw_only=True, tag="done"):
    """The answer is whole. `truncated` counts the messages left out so that it would fit."""

    finish: Literal["stop", "length"]
    truncated: Small = 0


class Failed(Terminal, frozen=True, kw_only=True, tag="failed"):
    """There will be no more; `text` is what there was.

    poison: it is not to be tried on a further worker, and is kept as a dead letter; retry_after:
    seconds after which to ask anew, of what no worker took in time.
    """

    code: ErrorCode
    detail: str = ""
    param: str | None = None
    poison: bool = False
    retry_after: Finite | None = None


class Cancelled(Terminal, frozen=True, kw_only=True, tag="cancelled"):
    """Stopped because somebody asked."""


class Deleted(Event, frozen=True, kw_only=True, tag="deleted"):
    """Behind the end: who asked wants the answer found no more. The log itself is not edited."""


RunEvent = Queued | Claim | Cancel | Done | Failed | Cancelled | Deleted


End = Done | Failed | Cancelled


class WorkerStarted(Event, frozen=True, kw_only=True, tag="worker_started"):
    """A worker process is ready to serve."""

    info: WorkerInfo


class WorkerStopped(Event, frozen=True, kw_only=True, tag="worker_stopped"):
    """A worker process left in good order."""

    name: str
    inc: str
    reason: str = ""


class WorkerLost(Event, frozen=True, kw_only=True, tag="worker_lost"):
    """A gateway noticed that a worker's presence ended without a goodbye."""

    name: str
    inc: str


FleetEvent = WorkerStarted | WorkerStopped | WorkerLost


LogEvent = RunEvent | FleetEvent
