"""Who waits in line: each model's queued requests in order, as the log's events tell it. Pure."""

import time
from collections.abc import Callable

from mesh.protocol.messages import Cancelled, Claim, Done, Failed, Queued, RunEvent

FRESH = 0.5
"""Seconds for which places that were counted hold, if nobody comes or goes."""


class WaitingRoom:
    """Each model's requests that were queued and not claimed yet, in the order of the log.

    Those past their deadline count no more, should nobody have lived to end them.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._model: dict[str, str] = {}
        self._lines: dict[str, _Line] = {}

    def hear(self, rid: str, event: RunEvent, seq: int) -> None:
        """Take note of an event of any request, stored at `seq`; a request's in their order."""
        match event:
            case Queued(request=request):
                self._model[rid] = request.model
                self._line(request.model).join(rid, seq, request.waits_until)
            case Claim() | Done() | Failed() | Cancelled():
                model = self._model.pop(rid, None)
                if model is not None:
                    self._line(model).leave(rid)

    def place(self, rid: str, model: str) -> tuple[int, int]:
        """How many are before a request that waits for a model, and how many wait in all.

        One that was not heard of yet is the last.
        """
        places = self._line(model).places(self._clock())
        if rid not in places:
            return len(places), len(places) + 1
        return places[rid], len(places)

    def size(self, model: str) -> int:
        """How many wait for a model."""
        return len(self._line(model).places(self._clock()))

    def _line(self, model: str) -> "_Line":
        return self._lines.setdefault(model, _Line())


class _Line:
    """One model's line. Places are counted once for all who ask between two changes."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[int, float]] = {}
        self._places: dict[str, int] = {}
        self._until = 0.0

    def join(self, rid: str, seq: int, deadline: float) -> None:
        self._waiting[rid] = seq, deadline
        self._until = 0.0

    def leave(self, rid: str) -> None:
        self._waiting.pop(rid, None)
        self._until = 0.0

    def places(self, now: float) -> dict[str, int]:
        """Everybody's number, from 0."""
        if now >= self._until:
            in_time = [(at, rid) for rid, at in self._waiting.items() if at[1] > now]
            in_time.sort()
            self._waiting = {rid: at for at, rid in in_time}
            self._places = {rid: place for place, rid in enumerate(self._waiting)}
            self._until = now + FRESH
        return self._places
