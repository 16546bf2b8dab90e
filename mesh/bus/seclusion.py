"""Finds out that the broker's node which we are connected to has lost its cluster.

Such a node keeps its clients: their connections stand, it answers their pings, and nothing that
needs the others ever comes. So it is known by what is asked of JetStream anyhow: a service has
something to ask every few seconds, and once for a while none of it was answered, it goes to another
node. It may be no better there, as while the whole cluster chooses a leader: each time that the
next node does not answer either, the wait there is twice as long.

A read that any replica may answer proves nothing, for the secluded node has one: only what a
stream's leader answers counts. A leader that has just been cut off takes itself for one for ten to
twenty seconds yet.
"""

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

SILENT = 8.0
"""Seconds without any answer, from the first question that got none, before another node is tried;
three brokers of which one died take five to eight to agree on another leader."""

FEW = 3
"""Questions in a row that have to be unanswered besides: whoever stood still has time-outs too."""

LONGEST = 60.0
"""Seconds that are waited at most, where no node answers."""


class Seclusion:
    """Counts what was not answered. leave: goes to another node, if there is one; returns whether.

    Told of every answer on the way of each frame, so that has to cost nothing.
    """

    def __init__(
        self, leave: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._leave = leave
        self._clock = clock
        self._unanswered = 0
        self._since = 0.0
        self._patience = SILENT

    def answered(self) -> None:
        """A leader has answered through this node: it has its cluster."""
        self._unanswered, self._patience = 0, SILENT

    def unanswered(self) -> None:
        """Something was not answered in time, or there is nobody who could."""
        now = self._clock()
        if not self._unanswered:
            self._since = now
        self._unanswered += 1
        silent = now - self._since
        if self._unanswered < FEW or silent < self._patience or not self._leave():
            return
        log.warning(
            "Nothing is answered through this node of the cluster for %.0f s: going to another one",
            silent,
        )
        self._unanswered, self._patience = 0, min(2 * self._patience, LONGEST)

    def elsewhere(self) -> None:
        """A new connection was made, maybe to another node, of which nothing is known yet."""
        self._unanswered = 0
