"""The line at the bottom: model, worker, place in the queue, pace, connection. Pure.

`Status` is what is known, told by events; `fragments` is how it looks.
"""

from collections import deque
from dataclasses import dataclass, field

from prompt_toolkit.formatted_text import StyleAndTextTuples

from mesh_client.events import Event, Failed, Finished, Pending, Reconnecting, Token
from mesh_client.objects import Message
from mesh_client.repl.markdown.rows import Row, cells

ANSWERING = "answering"
STALLED = 3.0
"""Seconds without a piece after which the toolbar says so: a worker may have died."""

RECENT = 64
"""Pieces by which the pace is measured: what a resumed stream brings at once is soon forgotten."""


@dataclass
class Pace:
    """Tokens per second of one answer, and the seconds from its question to the first token.

    While it is written it goes by the times at which its pieces arrived, at the end by what the
    worker measured: a fast one sends many tokens as one piece. began: None where the question was
    not asked here.
    """

    began: float | None = None
    first: float | None = None
    measured: float | None = None
    arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    def piece(self, now: float) -> None:
        """One more piece."""
        if self.first is None:
            self.first = now
        self.arrivals.append(now)

    def ended(self, message: Message) -> None:
        """Take over what the worker counted."""
        usage, timings = message.usage, message.timings
        if message.attempts > 1:
            return  # the timings are those of the last attempt alone
        if usage and timings and usage.completion_tokens > 1 and timings.generate > 0:
            self.measured = (usage.completion_tokens - 1) / timings.generate

    @property
    def rate(self) -> float | None:
        """Tokens per second after the first token; None while that says nothing."""
        if self.measured is not None:
            return self.measured
        if len(self.arrivals) < 2 or self.arrivals[-1] <= self.arrivals[0]:
            return None
        return (len(self.arrivals) - 1) / (self.arrivals[-1] - self.arrivals[0])

    def silence(self, now: float) -> float:
        """Seconds since the last piece."""
        return now - self.arrivals[-1] if self.arrivals else 0.0

    @property
    def first_after(self) -> float | None:
        """Seconds from the question to the first token."""
        if self.first is None or self.began is None:
            return None
        return self.first - self.began


@dataclass
class Wait:
    """How long one has been in the queue, and how long it may last at the pace of those before."""

    since: float
    first: int
    position: int = 0
    moved: float | None = None

    def at(self, position: int, now: float) -> None:
        """One's place now: how many are before."""
        if position != self.position:
            self.position, self.moved = position, now

    def left(self, now: float) -> float | None:
        """Seconds until one's turn at the pace of those who went; None: nobody can tell."""
        gone = self.first - self.position
        if self.moved is None or gone <= 0:
            return None
        left = (self.moved - self.since) / gone * (self.position + 1) - (now - self.moved)
        return left if left > 0 else None


@dataclass
class Status:
    """What the toolbar shows. `activity`: what is going on, "" when nothing is; `stopping`: the
    user does not want the answer any more, and its acknowledged end is awaited; `context`: tokens
    of the conversation, and how many the model reads at most; `branch`: which of how many."""

    model: str = ""
    worker: str = ""
    online: bool = True
    activity: str = ""
    stopping: bool = False
    hint: str = ""
    context: tuple[int, int | None] | None = None
    branch: tuple[int, int] = (1, 1)
    background: int = 0
    files: int = 0
    wait: Wait | None = None
    pace: Pace = field(default_factory=Pace)

    def begin(self, asked: float | None) -> None:
        """An answer is awaited to the question sent at that time, None: asked elsewhere."""
        self.pace = Pace(began=asked)
        self.wait = None
        self.worker = ""
        self.hint = ""
        self.stopping = False
        self.activity = "sending" if asked is not None else "reading along"

    def end(self) -> None:
        """Nothing is going on any more; the pace stays to be read."""
        self.stopping = False
        self.activity = ""
        self.wait = None

    def event(self, event: Event, now: float) -> None:
        """Something happened to the answer."""
        match event:
            case Pending(position, size):
                self.online = True
                self._queued(position, size, now)
            case Token():
                self.online = True
                self.wait = None
                self.activity = ANSWERING
                self.pace.piece(now)
            case Reconnecting(attempt, _, reason):
                self.online = False
                self.activity = f"{reason}; resuming, attempt {attempt}"
            case Finished() | Failed():
                self.online = True
                self.end()
                if event.message is not None:
                    self.pace.ended(event.message)
                    self.worker = event.message.worker or self.worker

    def _queued(self, position: int, size: int, now: float) -> None:
        if self.wait is None:
            self.wait = Wait(now, position, position)
        self.wait.at(position, now)
        self.activity = (
            f"queued, {position} of {size} before you" if position else "next in the queue"
        )


def fragments(status: Status, now: float, width: int = 1000) -> StyleAndTextTuples:
    """The toolbar's text, most important first: what does not fit into `width` is left out."""
    dot = ("class:online", "● ") if status.online else ("class:offline", "○ ")
    connection = ("", "connected") if status.online else ("class:offline", "offline")
    spaced: Row = [("", " "), dot, ("class:model", status.model or "default model")]
    for part in [connection, *_particulars(status, now)]:
        more: Row = [("class:dim", " · "), part]
        if part[1] and cells(spaced) + cells(more) <= width:
            spaced += more
    return [*spaced]


def _particulars(status: Status, now: float) -> list[tuple[str, str]]:
    at, branches = status.branch
    return [
        ("class:activity", status.hint),
        ("class:activity", _activity(status, now)),
        ("class:activity", _waited(status.wait, now)),
        ("", f"branch {at} of {branches}" if branches > 1 else ""),
        ("", f"{status.background} in the background" if status.background else ""),
        ("", f"{status.files} file{'s' * (status.files > 1)} attached" if status.files else ""),
        ("", status.worker),
        ("", _rate(status.pace)),
        ("", _first(status.pace)),
        ("", _context(status.context)),
    ]


def _activity(status: Status, now: float) -> str:
    activity = "stopping" if status.stopping else status.activity
    if activity == ANSWERING and status.pace.silence(now) >= STALLED:
        return f"nothing for {status.pace.silence(now):.0f} s"
    return activity


def _waited(wait: Wait | None, now: float) -> str:
    if wait is None or now - wait.since < 1:
        return ""
    left = wait.left(now)
    return f"{now - wait.since:.0f} s" + (f", about {left:.0f} s to go" if left else "")


def _rate(pace: Pace) -> str:
    rate = pace.rate
    if rate is None:
        return ""
    return f"{rate:.0f} tokens/s" if rate >= 10 else f"{rate:.1f} tokens/s"


def _first(pace: Pace) -> str:
    return "" if pace.first_after is None else f"first after {pace.first_after:.2f} s"


def _context(context: tuple[int, int | None] | None) -> str:
    if context is None or not context[0]:
        return ""
    used, most = context
    return f"context {used:,} of {most:,}" if most else f"context {used:,}"
