"""Says that this gateway lives, and learns which others do no more. Does nothing about them.

By a lease each, renewed at a steady pace whatever else the gateway is busy with: a gateway that
seems gone has the streams cancelled that nobody could read on.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import NamedTuple

from mesh.bus.connection import BusError
from mesh.bus.jetstream import WHATEVER_COMES, JetStream
from mesh.bus.lease import Lease, held
from mesh.bus.stored import unix
from mesh.protocol import subjects

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two signs of life, and two looks."""

MISSED = 4
"""Looks in a row at which a gateway was missing: after the broker was away they all come late."""

REMEMBERED = 1000
"""Gateways that are remembered: one without a name of its own has a new one with each start."""

NAMESAKE = 8
"""Looks in a row at which our own lease was another's: one of our former start is over by then."""

SURE = 5.0
"""Seconds in which whoever lives under our name would have said so."""

LOOK = 0.25
"""Seconds between two looks for that."""

_PREFIX = "gateway-"


class Sign(NamedTuple):
    """A renewal of a gateway's lease: its sequence, and seconds since."""

    seq: int
    age: float


class Absences:
    """Which of those that lived are missing, by the looks in a row that they were. Pure.

    Not by a clock: of whoever looks itself stood still, or was without a broker, that time does not
    count, for the others may have been no better off. Of many, those that are missing for longest
    are forgotten, as if they had never been: what they left was seen to long ago.
    """

    def __init__(self) -> None:
        self._missed: dict[str, int] = {}
        self._unseen: set[str] = set()

    def expect(self, names: Iterable[str]) -> None:
        """Look from now on for those who own something, also if they were never seen to live."""
        unknown = set(names) - self._missed.keys()
        self._missed.update(dict.fromkeys(unknown, 0))
        self._unseen |= unknown

    def look(self, living: set[str]) -> set[str]:
        """Take note of who lives now; returns who was never seen before."""
        new = living - (self._missed.keys() - self._unseen)
        self._unseen -= living
        for name in living | self._missed.keys():
            self._missed[name] = 0 if name in living else self._missed[name] + 1
        over = len(self._missed) - max(REMEMBERED, len(living))
        longest = sorted(self._missed, key=self._missed.__getitem__, reverse=True)
        for name in longest[: max(0, over)]:
            del self._missed[name]
        self._unseen &= self._missed.keys()
        return new

    @property
    def gone(self) -> set[str]:
        return {name for name, missed in self._missed.items() if missed >= MISSED}

    def gone_for(self, name: str) -> float:
        """Seconds for which one of the gone was not seen, at least; 0: it is none of them."""
        missed = self._missed.get(name, 0)
        return missed * EVERY if missed >= MISSED else 0.0


class Living:
    """One gateway among others.

    `alone` is set once it is sure that nobody else lives under our name, `namesake` if somebody
    does: what is written under it is that one's then, and no affair of ours.
    """

    def __init__(self, js: JetStream, name: str) -> None:
        self._js = js
        self._name = name
        self._lease = Lease(js, f"{_PREFIX}{name}", name)
        self._refused = 0
        self._absences = Absences()
        self.alone = asyncio.Event()
        self.namesake = asyncio.Event()

    @property
    def gone(self) -> set[str]:
        """The names of those that lived, or own something, and do not live as far as one sees."""
        return self._absences.gone

    def expect(self, names: Iterable[str]) -> None:
        """Say who owns something unfinished: who of them died before we were there to see it, and
        does not return, counts as gone like those that we saw."""
        self._absences.expect(names)

    def gone_for(self, name: str) -> float:
        """Seconds for which a gateway is gone, at least; 0: it lives, or nobody knows of it."""
        return self._absences.gone_for(name)

    async def run(self) -> None:
        """Live and look, until cancelled, unless another lives under our name."""
        if await self._is_taken():
            self.namesake.set()
            return
        self.alone.set()
        while True:
            mine = await self._lease.hold()
            try:
                await self._look(mine)
            except BusError as error:
                log.debug("Looking for other gateways: %s", error)
            await asyncio.sleep(EVERY)

    async def _is_taken(self) -> bool:
        """Whether somebody renews the lease of our name: one of our former start is renewed no
        more, and was renewed for the last time before we began."""
        seen: int | None = None
        while True:
            try:
                sign = await self._sign()
                if sign is None or sign.age > SURE:
                    return False
                if seen not in (None, sign.seq):
                    return True
                seen = sign.seq
            except BusError as error:
                log.debug("Looking for a namesake: %s", error)
            await asyncio.sleep(LOOK)

    async def _sign(self) -> Sign | None:
        """The last sign of life under our name, by the broker's clock; None: there is none."""
        info = await self._js.stream_info(subjects.LEASES_STREAM)
        batches = self._js.read(subjects.LEASES_STREAM, self._lease.subject, 1, WHATEVER_COMES)
        signs = [
            Sign(stored.seq, unix(info.ts) - stored.at)
            async for batch in batches
            for stored in batch
        ]
        return signs[-1] if signs else None

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
        for name in self._absences.look(living):
            log.info("The gateway %s lives", name)
