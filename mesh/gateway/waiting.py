"""Who waits in line: each model's queued requests in order, as the log's events tell it. Pure.

Kept by every gateway from the events of all reply addresses, and held to the broker's own count,
which says how many are waiting but not who.
"""

from collections import defaultdict

from mesh.protocol.messages import Cancelled, Claim, Done, Failed, Queued, RunEvent


class WaitingRoom:
    """Each model's requests that were queued and not claimed yet, oldest first."""

    def __init__(self) -> None:
        self._lines: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._model: dict[str, str] = {}
        self._counted: dict[str, int] = {}

    def hear(self, rid: str, event: RunEvent) -> None:
        """Take note of an event of any request."""
        match event:
            case Queued(request=request):
                self._model[rid] = request.model
                self._lines[request.model][rid] = None
            case Claim() | Done() | Failed() | Cancelled():
                self._leave(rid)

    def count(self, model: str, pending: int) -> None:
        """Take the broker's count of a model's waiting requests.

        Should events have been missed, the oldest are those that have left.
        """
        self._counted[model] = pending
        line = self._lines[model]
        if pending == 0:
            for rid in list(line):
                self._leave(rid)

    def models(self) -> list[str]:
        """Models that somebody waits for."""
        return [model for model, line in self._lines.items() if line]

    def place(self, rid: str) -> tuple[int, int]:
        """How many are before a request, and how many wait in all; (0, size) if it waits not."""
        model = self._model.get(rid)
        if model is None:
            return 0, 0
        line = self._lines[model]
        size = max(len(line), self._counted.get(model, 0))
        for position, waiting in enumerate(line):
            if waiting == rid:
                return position, size
        return 0, size

    def _leave(self, rid: str) -> None:
        model = self._model.pop(rid, None)
        if model is not None:
            self._lines[model].pop(rid, None)
