"""How many may wait for a model, and how soon there will be room again. Pure.

Everybody's requests count, as the log's events tell them, at this gateway and at all others.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mesh.gateway.limits.refusing import check_ever
from mesh.gateway.waiting import WaitingRoom
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Cancelled, Done, Failed, Queued, RunEvent

WINDOW = 60.0
"""Seconds over which the pace is measured."""

PART = 0.05
"""The part of the line that should have moved before it is worth trying again: all who are
refused now come back, and not only the first of them should find room."""

SHORTEST, LONGEST, UNKNOWN = 1.0, 120.0, 10.0
"""Seconds to wait: bounds, and what is said while nothing has ended yet."""


class Crowd:
    """Who waits, and how fast requests end. most: requests that may wait for one model."""

    def __init__(
        self, room: WaitingRoom, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._room = room
        self._most = most
        self._clock = clock
        self._whose: dict[str, tuple[str, str]] = {}
        self._held: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._ends: deque[tuple[float, str, str]] = deque()
        self._coming: defaultdict[str, set[str]] = defaultdict(set)

    def hear(self, rid: str, event: RunEvent, seq: int) -> None:
        """Take note of an event of any request, stored at `seq`; a request's in their order."""
        self._room.hear(rid, event, seq)
        match event:
            case Queued(request=request) if rid not in self._whose:
                self._coming[request.model].discard(rid)
                whose = self._whose[rid] = request.model, request.tenant
                self._held[whose] += 1
            case Done() | Failed() | Cancelled() if rid in self._whose:
                whose = self._whose.pop(rid)
                self._held[whose] -= 1
                if not self._held[whose]:
                    del self._held[whose]
                if isinstance(event, Done) or event.n:  # else the line got shorter, no slot free
                    self._ends.append((self._clock(), *whose))
                self._forget()

    def check(self, model: str, more: int = 1, param: str | None = None) -> None:
        """Raise MeshError (queue_full) if fewer may come to wait for a model than so many more, and
        bad_request, which names `param`, if so many never may."""
        if self._room.size(model) + len(self._coming[model]) + more > self._most:
            check_ever(self._most, more, "requests may wait for a model at once", param)
            raise self.refusal(ErrorCode.QUEUE_FULL, model, "")

    @contextmanager
    def coming(self, rid: str, model: str) -> Iterator[None]:
        """Let a request in, which counts while it is being queued: of many that come at once the
        log tells of none yet. Raises as `check`."""
        self.check(model)
        self._coming[model].add(rid)
        try:
            yield
        finally:
            self._coming[model].discard(rid)

    def refusal(self, code: ErrorCode, model: str, tenant: str) -> MeshError:
        """The refusal of one more request, with the time after which to try again.

        share_full: what the tenant has asked of the model has to end; queue_full: anybody's.
        """
        if code is ErrorCode.SHARE_FULL:
            held = self._held.get((model, tenant), 0)
            rate = self._rate(lambda m, t: (m, t) == (model, tenant))
            return MeshError(code, retry_after=_wait(held, rate))
        return MeshError(code, retry_after=self.pause(model))

    def pause(self, model: str) -> float:
        """Seconds after which it is worth asking a model again, for whoever waited in its line in
        vain or finds it full."""
        return _wait(self._room.size(model), self._rate(lambda m, t: m == model))

    def _rate(self, counts: Callable[[str, str], bool]) -> float:
        """Requests that ended per second of late."""
        self._forget()
        if not self._ends:
            return 0.0
        span = max(1.0, self._clock() - self._ends[0][0])
        return sum(counts(model, tenant) for _, model, tenant in self._ends) / span

    def _forget(self) -> None:
        old = self._clock() - WINDOW
        while self._ends and self._ends[0][0] < old:
            self._ends.popleft()


def _wait(held: int, rate: float) -> float:
    if rate <= 0:
        return UNKNOWN
    return min(LONGEST, max(SHORTEST, PART * held / rate, 1 / rate))
