"""Logs which requests to models failed, under the ids of the HTTP requests that they are for."""

import logging

from mesh.bus.trace import working_for
from mesh.protocol.events import Cancelled, Done, Failed, Queued, RunEvent
from mesh.protocol.subjects import RunSubject

log = logging.getLogger(__name__)

MOST = 10_000
"""Requests whose end is waited for."""


class Failures:
    """name: the reply address of this gateway, of whose requests it tells."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._open: dict[str, str] = {}

    def hear(self, where: RunSubject, event: RunEvent) -> None:
        """An event of the log, in its order. What was queued before this began has no id here."""
        if where.reply != self._name:
            return
        match event:
            case Queued(request=request):
                self._open[where.rid] = request.trace
                while len(self._open) > MOST:
                    del self._open[next(iter(self._open))]
            case Failed(code=code) if where.rid in self._open:
                with working_for(self._open.pop(where.rid)):
                    log.info("%s has failed: %s", where.rid, code.value)
            case Done() | Cancelled():
                self._open.pop(where.rid, None)
