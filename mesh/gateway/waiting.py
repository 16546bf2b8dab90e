"""Who waits in line: each model's queued requests in order, as the log's events tell it. Pure."""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from mesh.bus.turns import LINE, Turns
from mesh.protocol.events import Cancelled, Claim, Done, Failed, Queued, RunEvent
from mesh.protocol.request import Request
from mesh.protocol.subjects import lane

FRESH = 0.5
"""Seconds for which places that were counted hold, if nobody comes or goes."""


class WaitingRoom:
    """Each model's requests that were queued and not claimed yet, in the order of their turns.

    Those past their deadline count no more, should nobody have lived to end them. laned: whether
    the workers take a model's prompts from lanes; if not, the order is that of the log.
    """

    def __init__(
        self,
        laned: Callable[[str], bool] = lambda model: True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._laned = laned
        self._clock = clock
        self._model: dict[str, str] = {}
        self._lines: defaultdict[str, _Line] = defaultdict(_Line)

    def hear(self, rid: str, event: RunEvent, seq: int) -> None:
        """Take note of an event of any request, stored at `seq`; a request's in their order."""
        match event:
            case Queued(request=request):
                self._model[rid] = request.model
                self._line(request.model).join(_Waiting.of(request, seq))
            case Claim() | Done() | Failed() | Cancelled():
                model = self._model.pop(rid, None)
                if model is not None:
                    self._line(model).leave(rid, claimed=isinstance(event, Claim))

    def place(self, rid: str, model: str) -> tuple[int, int]:
        """How many are before a request that waits for a model, and how many wait in all.

        One that was not heard of yet is the last.
        """
        places = self._places(model)
        if rid not in places:
            return len(places), len(places) + 1
        return places[rid], len(places)

    def size(self, model: str) -> int:
        """How many wait for a model. Cheap, however many: every request that comes asks."""
        return self._line(model).size(self._clock())

    def _places(self, model: str) -> dict[str, int]:
        return self._line(model).places(self._clock(), self._laned(model))

    def _line(self, model: str) -> "_Line":
        return self._lines[model]


class _Waiting(NamedTuple):
    """One who waits; they are in the order of the log."""

    seq: int
    rid: str
    deadline: float
    lane: str
    weight: float

    @classmethod
    def of(cls, request: Request, seq: int) -> "_Waiting":
        where = lane(request.tenant, request.priority, request.weight)
        return cls(seq, request.rid, request.waits_until, where, request.weight)


class _Line:
    """One model's line. Places are counted once for all who ask between two changes."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}
        self._turns = Turns()
        self._places: dict[str, int] = {}
        self._until = 0.0
        self._in_time_until = 0.0

    def size(self, now: float) -> int:
        """How many there are; whoever is past the deadline counts for FRESH seconds more."""
        if now >= self._in_time_until:
            self._forget_late(now)
        return len(self._waiting)

    def join(self, who: _Waiting) -> None:
        self._waiting[who.rid] = who
        self._until = 0.0

    def leave(self, rid: str, claimed: bool) -> None:
        who = self._waiting.pop(rid, None)
        if who is not None and claimed:
            self._turns.took(who.lane, who.weight)
        self._until = 0.0

    def places(self, now: float, laned: bool) -> dict[str, int]:
        """Everybody's number, from 0."""
        if now >= self._until:
            self._forget_late(now)
            waiting = sorted(self._waiting.values())
            self._places = {rid: n for n, rid in enumerate(self._order(waiting, laned))}
            self._until = now + FRESH
        return self._places

    def _forget_late(self, now: float) -> None:
        late = [who.rid for who in self._waiting.values() if who.deadline <= now]
        for rid in late:
            del self._waiting[rid]
        self._in_time_until = now + FRESH

    def _order(self, waiting: list[_Waiting], laned: bool) -> list[str]:
        lanes: defaultdict[str, list[_Waiting]] = defaultdict(list)
        for who in waiting:
            lanes[who.lane if laned else LINE].append(who)
        turns = []
        for name, queue in lanes.items():
            places = self._turns.places(name, [who.weight if laned else 1.0 for who in queue])
            turns += [(place, who) for place, who in zip(places, queue, strict=True)]
        return [who.rid for _, who in sorted(turns)]
