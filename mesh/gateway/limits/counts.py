"""Counts what users and keys ask for and use, by the events of the log; asks nobody.

Every gateway hears all events, of its own requests at once, of others' within a fraction of a
second; so all of them count alike, and one that was started again counts the past as well.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from mesh.gateway.anew import refused
from mesh.gateway.limits.window import Window
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancel, Cancelled, Done, End, Failed, Queued, RunEvent
from mesh.protocol.request import Request

MINUTE, DAY = 60.0, 86_400.0

RECENT = 60.0
"""Seconds for which the ends are remembered one by one: the store has applied them by then."""


REMEMBERED = 10_000
"""Requests that have ended and are known: of one that is told of again nothing is counted."""


UNANSWERABLE = frozenset({ErrorCode.BAD_REQUEST, ErrorCode.CONTEXT_OVERFLOW})
"""What a worker says of a request that no model can answer as it was asked, 400 in HTTP."""


class Who(NamedTuple):
    """A user, or a key, whoever it is used for: a trusted client has many users."""

    user: str = ""
    key: str = ""


def both(user: str, key: str) -> Iterator[Who]:
    """Whose limits hold for what a user asks: the user's, and the key's if they do with one."""
    yield Who(user)
    if key:
        yield Who(key=key)


def of(request: Request) -> Iterator[Who]:
    """Whose request it is."""
    return both(request.tenant, request.key)


class Used:
    """What one user or key has used. open: requests without an end; messages: asked in chats."""

    def __init__(self, messages_span: float) -> None:
        self.open: set[str] = set()
        self.requests = Window(MINUTE)
        self.tokens = Window(MINUTE)
        self.messages = Window(messages_span)
        self.today = Today()

    def over(self, now: float) -> bool:
        """Whether nothing of it counts any more."""
        windows = (self.requests, self.tokens, self.messages)
        past = not any(window.sum(now) for window in windows)
        return past and not self.open and not self.today.tokens(now)


class Today:
    """The tokens of one day (number since 1970, UTC): those that the store knew, and those since.

    known: whether the store has told; before, only what was heard here counts.
    """

    def __init__(self) -> None:
        self.day = 0
        self.known = False
        self._sum = 0
        self._told = (0, 0.0)
        self._recent: deque[tuple[int, float, int]] = deque()

    def add(self, seq: int, at: float, tokens: int) -> None:
        """An answer's end, stored at `seq`, at a Unix time; 0: in no log.

        The store may have told of it before it was heard.
        """
        self.turn(at)
        applied, when = self._told
        if not 0 < seq <= applied or at > when:  # in a log that was made anew all is later
            self._sum += tokens
        self._recent.append((seq, at, tokens))
        while self._recent[0][1] < at - RECENT:
            self._recent.popleft()

    def tokens(self, now: float) -> int:
        self.turn(now)
        return self._sum

    def learn(self, day: int, tokens: int, applied: int, now: float) -> None:
        """What the store has of a day, up to a sequence of the log. now: Unix time."""
        if day != self.day:
            return  # another has begun while the store was asked
        self._sum = tokens + sum(more for seq, _, more in self._recent if seq > applied)
        self.known, self._told = True, (applied, now)

    def turn(self, at: float) -> None:
        """With a new day all begins anew, and nothing of it is missing."""
        day = int(at // DAY)
        if day > self.day:
            self.known = bool(self.day)
            self.day, self._sum = day, 0
            self._recent.clear()


class Begun(NamedTuple):
    """A request under way, and as what it was counted: in each window, and when."""

    request: Request
    counted: list[tuple[Window, float]]

    def give_back(self) -> None:
        """It does not count as asked for: nobody took it up, and it may be asked anew."""
        for window, at in self.counted:
            window.give_back(at, 1)
        self.counted.clear()


class Counts:
    """What everybody has used of late. messages_span: seconds over which chats' are counted."""

    def __init__(self, messages_span: float, clock: Callable[[], float] = time.time) -> None:
        self._span = messages_span
        self._clock = clock
        self._used: defaultdict[Who, Used] = defaultdict(lambda: Used(self._span))
        self._open: dict[str, Begun] = {}
        self._queued: set[str] = set()
        self._ended: dict[str, None] = {}

    def of(self, who: Who) -> Used:
        return self._used[who]

    def is_open(self, rid: str) -> bool:
        """Whether a request counts as under way."""
        return rid in self._open

    def hear(self, rid: str, event: RunEvent, seq: int, at: float) -> None:
        """An event of any request, stored at `seq`, at a Unix time."""
        match event:
            case Queued(request=request, turn=turn):
                self.begin(request, chat=turn is not None)
                if rid in self._open:
                    self._queued.add(rid)
            case Cancel(withdrawn=True):
                self._give_back(rid)
            case Done() | Failed() | Cancelled():
                if refused(event) or _unanswerable(event):
                    self._give_back(rid)
                tokens = event.usage.prompt_tokens + event.usage.completion_tokens
                self._end(rid, tokens, seq, min(at, self._clock()))

    def begin(self, request: Request, chat: bool) -> None:
        """Count a request that is accepted, once; what comes of it is heard later."""
        if request.rid in self._open or request.rid in self._ended:
            return
        begun = self._open[request.rid] = Begun(request, [])
        at = min(self._clock(), request.created)
        for who in of(request):
            used = self._used[who]
            used.open.add(request.rid)
            for window in (used.requests, used.messages) if chat else (used.requests,):
                begun.counted.append((window, window.add(at, 1)))

    def forget(self, rid: str) -> None:
        """A request was not accepted after all, so it does not count.

        One that the log told of was, perhaps by another try of it: the log tells its end, too.
        """
        if rid not in self._queued:
            self._give_back(rid)
            self._close(rid)

    def ended(self, rid: str, tokens: int) -> None:
        """A request of which no log tells has ended."""
        self._end(rid, tokens, 0, self._clock())

    def tidy(self, now: float) -> None:
        """Forget requests whose ends should have been heard long ago, for the log may have been
        replaced; and who has used nothing of late."""
        late = [rid for rid, begun in self._open.items() if begun.request.deadline + MINUTE < now]
        for rid in late:
            self.ended(rid, 0)
        for who in [who for who, used in self._used.items() if used.over(now)]:
            del self._used[who]

    def _end(self, rid: str, tokens: int, seq: int, at: float) -> None:
        """Where it is not known when it was asked for, nothing: it may be told from there yet."""
        for used in self._close(rid):
            self._ended[rid] = None
            used.tokens.add(at, tokens)
            if tokens:
                used.today.add(seq, at, tokens)
        while len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]

    def _give_back(self, rid: str) -> None:
        """Nothing was asked for, as far as limits go, by a request that nobody took up."""
        begun = self._open.get(rid)
        if begun is not None:
            begun.give_back()

    def _close(self, rid: str) -> list[Used]:
        """A request is under way no longer; what those have used whose it was."""
        begun = self._open.pop(rid, None)
        self._queued.discard(rid)
        found = [self._used[who] for who in of(begun.request)] if begun is not None else []
        for used in found:
            used.open.discard(rid)
        return found


def _unanswerable(end: End) -> bool:
    """Whether a worker refused a request before a model answered."""
    failed = isinstance(end, Failed) and end.code in UNANSWERABLE
    return failed and not end.usage.completion_tokens
