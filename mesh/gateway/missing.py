"""Finds the requests that the queue has lost, each by its id: numbers do not tell.

How many items lie for a user says little about one of them: there are new ones, and such as are
over and not acknowledged yet. It only says where to look first.
"""

import logging
import time
from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from mesh.bus.api import StreamInfo
from mesh.bus.jetstream import JetStream
from mesh.bus.queue import Inventory
from mesh.gateway.lanes import Lanes
from mesh.protocol.request import Request
from mesh.protocol.run import Run

log = logging.getLogger(__name__)

LOOKING = 1.0
"""Seconds of a sweep in which items of the queue are looked at; the next one goes on."""

CHECKING = 0.2
"""Seconds of them in which those are looked for of which nothing says that they are missing."""

AGAIN = 10.0
"""Seconds after which that is done again: a claimed one is missed only when its worker dies."""


class _Wanted(NamedTuple):
    """A request that should lie in the queue. under: the subjects where somebody comes for it;
    claimed: at which sequence it lies as its worker says; 0 if nobody has claimed it."""

    request: Request
    under: tuple[str, ...]
    claimed: int


class Missing:
    """Looks at once for those that nobody has claimed and no item is known of, and where fewer lie
    than should; for the others now and then. So a busy queue costs no more than a quiet one."""

    def __init__(self, js: JetStream, lanes: Lanes) -> None:
        self._inventory = Inventory(js)
        self._lanes = lanes
        self._found: dict[str, float] = {}

    async def find(
        self, runs: Iterable[Run], queue: StreamInfo, alive: Collection[str]
    ) -> list[Request]:
        """The requests of those of the runs that are not in the queue, as far as that is known.

        queue: as it was just before the runs were read; alive: the ids of all that are not over.
        Raises BusError.
        """
        self._inventory.begin(queue, alive)
        began = time.monotonic()
        wanted = {each.request.rid: each for each in map(self._wanted, runs) if each is not None}
        self._found = {rid: self._found.get(rid, began) for rid in wanted}
        urgent = self._urgent(wanted, queue)
        order = sorted(urgent, key=self._found.__getitem__) + sorted(
            (rid for rid, at in self._found.items() if at + AGAIN < began and rid not in urgent),
            key=self._found.__getitem__,
        )
        lost: list[Request] = []
        for rid in order:
            if time.monotonic() >= began + (LOOKING if rid in urgent else CHECKING):
                break  # there are many: the next sweep goes on
            request, under, claimed = wanted[rid]
            found = await self._inventory.has(rid, under, claimed, began + LOOKING)
            if found:
                self._found[rid] = began
            elif found is not None:
                lost.append(request)
        return lost

    def _wanted(self, run: Run) -> _Wanted | None:
        if run.queued is None:
            return None
        request = run.queued.request
        try:
            under = self._lanes.found_at(request)
        except ValueError as error:  # it ends at its deadline, like all that nobody takes
            log.debug("%s can wait nowhere: %s", request.rid, error)
            return None
        return _Wanted(request, under, 0 if run.claim is None else run.claim.item)

    def _urgent(self, wanted: dict[str, _Wanted], queue: StreamInfo) -> set[str]:
        lying = queue.state.subjects
        expected = Counter(each.under for each in wanted.values())
        short = {
            under
            for under, count in expected.items()
            if sum(lying.get(subject, 0) for subject in under) < count
        }
        return {
            rid
            for rid, each in wanted.items()
            if each.under in short or not (each.claimed or self._inventory.knows(rid))
        }
