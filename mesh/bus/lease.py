"""A lease: of several processes at most one does a job at a time, and another when it is gone.

Saves double work and nothing more: a holder that was paused may believe in its lease for a while
after another has got it, so what is done under a lease has to be fenced by itself.
"""

import logging
import time
from collections.abc import Callable

from mesh.bus.api import WRONG_LAST, ApiError
from mesh.bus.appender import Fenced
from mesh.bus.connection import BusError
from mesh.bus.jetstream import WHATEVER_COMES, JetStream
from mesh.bus.stored import fence
from mesh.bus.topology import LEASE_TTL
from mesh.protocol import subjects

log = logging.getLogger(__name__)


class Lease:
    """One process's part in a lease. holder: its name, for people who look."""

    def __init__(
        self, js: JetStream, name: str, holder: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._js = js
        self.subject = subjects.lease(name)
        self._holder = holder.encode()
        self._clock = clock
        self._seq = 0
        self._until = 0.0

    async def hold(self) -> bool:
        """Take the lease, or renew it; call it more often than every LEASE_TTL seconds.

        True while it is ours; false while it is another's, or the broker does not say.
        """
        asked = self._clock()
        try:
            self._seq = await self._take()
            self._until = asked + LEASE_TTL
        except Fenced:
            self._seq, self._until = 0, 0.0
        except BusError as error:
            log.debug("Renewing a lease: %s", error)
        return self._clock() < self._until

    async def _take(self) -> int:
        """The sequence under which it is ours. Whoever does not renew it is forgotten by then."""
        try:
            return await self._js.append(self.subject, self._holder, fence(self._seq))
        except ApiError as error:
            if error.code != WRONG_LAST:
                raise
            if not self._seq:
                raise Fenced(error.description, error.found) from error
        # Ours has expired, or another has it, or an earlier try had landed unanswered.
        self._seq = 0
        return await self._take()


async def held(js: JetStream) -> set[str]:
    """The names of all leases that somebody holds. Raises BusError."""
    batches = js.read(subjects.LEASES_STREAM, subjects.LEASES_ALL, 1, WHATEVER_COMES)
    return {stored.subject.rpartition(".")[2] async for batch in batches for stored in batch}
