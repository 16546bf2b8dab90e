"""The line at the bottom: model, worker, place in the queue, pace, connection. Pure.

`Status` is what is known, told by events; `fragments` is how it looks.
"""

from dataclasses import dataclass, field

from prompt_toolkit.formatted_text import StyleAndTextTuples

from mesh_client.events import Event, Failed, Finished, Pending, Reconnecting, Token


@dataclass
class Pace:
    """Tokens per second of one answer, by the times at which its tokens arrived."""

    began: float = 0.0
    first: float | None = None
    last: float = 0.0
    tokens: int = 0

    def token(self, now: float) -> None:
        """One more token."""
        if self.first is None:
            self.first = now
        self.last = now
        self.tokens += 1

    @property
    def rate(self) -> float | None:
        """Tokens per second from the first token on; None while that says nothing."""
        if self.first is None or self.tokens < 2 or self.last <= self.first:
            return None
        return (self.tokens - 1) / (self.last - self.first)

    @property
    def first_after(self) -> float | None:
        """Seconds from the question to the first token."""
        return None if self.first is None else self.first - self.began


@dataclass
class Status:
    """What the toolbar shows. `activity`: what is going on, "" when nothing is; `stopping`: the
    user does not want the answer any more, and its acknowledged end is awaited."""

    model: str = ""
    worker: str = ""
    online: bool = True
    activity: str = ""
    stopping: bool = False
    hint: str = ""
    pace: Pace = field(default_factory=Pace)

    def begin(self, now: float) -> None:
        """A question is sent."""
        self.pace = Pace(began=now)
        self.worker = ""
        self.hint = ""
        self.stopping = False
        self.activity = "sending"

    def end(self) -> None:
        """Nothing is going on any more; the pace stays to be read."""
        self.stopping = False
        self.activity = ""

    def event(self, event: Event, now: float) -> None:
        """Something happened to the answer."""
        match event:
            case Pending(position, size):
                self.online = True
                self.activity = f"queued, {position} of {size} before you" if position else "queued"
            case Token():
                self.online = True
                self.activity = "answering"
                self.pace.token(now)
            case Reconnecting(attempt, _, reason):
                self.online = False
                self.activity = f"{reason}; resuming, attempt {attempt}"
            case Finished() | Failed():
                self.online = True
                self.end()
                if event.message is not None and event.message.worker:
                    self.worker = event.message.worker


def fragments(status: Status) -> StyleAndTextTuples:
    """The toolbar's text, most important first: what does not fit is cut off at the end."""
    connection = ("", "connected") if status.online else ("class:offline", "offline")
    parts: StyleAndTextTuples = [("class:model", status.model or "default model"), connection]
    parts += [("", part) for part in _particulars(status)]
    spaced: StyleAndTextTuples = [("", " ")]
    for number, (style, text, *_) in enumerate(parts):
        spaced += [("class:dim", " · "), (style, text)] if number else [(style, text)]
    return spaced


def _particulars(status: Status) -> list[str]:
    activity = "stopping" if status.stopping else status.activity
    found = [status.hint, activity, status.worker]
    if (rate := status.pace.rate) is not None:
        found.append(f"{rate:.0f} tokens/s" if rate >= 10 else f"{rate:.1f} tokens/s")
    if (first := status.pace.first_after) is not None:
        found.append(f"first after {first:.2f} s")
    return [text for text in found if text]
