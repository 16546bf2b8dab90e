"""Says that this gateway lives, and learns which others do no more. Does nothing about them.

By a lease each, renewed at a steady pace whatever else the gateway is busy with: a gateway that
seems gone has the streams cancelled that nobody could read on.
"""

import asyncio
import logging

from mesh.bus.connection import BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.lease import Lease, held

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two signs of life, and two looks."""

MISSED = 4
"""Looks in a row at which a gateway was missing: after the broker was away they all come late."""

NAMESAKE = 8
"""Looks in a row at which our own lease was another's: one of our former start is over by then."""

_PREFIX = "gateway-"


class Living:
    """One gateway among others. `gone`: the names of those that lived, and do no more."""

    def __init__(self, js: JetStream, name: str) -> None:
        self._js = js
        self._name = name
        self._lease = Lease(js, f"{_PREFIX}{name}", name)
        self._refused = 0
        self._missed: dict[str, int] = {}
        self.gone: set[str] = set()

    async def run(self) -> None:
        """Live and look, until cancelled."""
        while True:
            mine = await self._lease.hold()
            try:
                await self._look(mine)
            except BusError as error:
                log.debug("Looking for other gateways: %s", error)
            await asyncio.sleep(EVERY)

    async def _look(self, mine: bool) -> None:
        leases = await held(self._js)
        living = {name.removeprefix(_PREFIX) for name in leases if name.startswith(_PREFIX)}
        self._refused = 0 if mine or self._name not in living else self._refused + 1
        if self._refused == NAMESAKE:
            log.error(
                "Another gateway is called %s as well, and each ends requests of the other when it "
                "starts: give one of them a name of its own with MESH_GATEWAY_NAME.",
                self._name,
            )
        for name in living - self._missed.keys():
            log.info("The gateway %s lives", name)
        for name in living | self._missed.keys():
            self._missed[name] = 0 if name in living else self._missed[name] + 1
        self.gone = {name for name, missed in self._missed.items() if missed >= MISSED}
