"""Gives the requests of a worker that has died to others at once, on the broker's word.

Only hastens what happens anyway: without that word they are handed out again when the queue's
patience (`MESH_ACK_WAIT`) is over. Who may go on with a request is decided by its next claim.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from mesh.bus.asking import ASK_TIMEOUT, BROKERS_WORD, Says, ask
from mesh.bus.connection import Bus, BusError
from mesh.bus.follow import Track
from mesh.bus.partings import Partings
from mesh.bus.presence import Fleet
from mesh.bus.pull import nak
from mesh.gateway.logs import Logs
from mesh.protocol import subjects
from mesh.protocol.subjects import Writer

log = logging.getLogger(__name__)

PATIENCE = (ASK_TIMEOUT, BROKERS_WORD, BROKERS_WORD)
"""Seconds for which one that parted is asked, each time that it is silent: the broker may tell of a
parting before it has let go of what that process listened to, and a paused one is not gone."""

LOOKS, PAUSE = 5, 0.25
"""Looks at what one that parted holds, and seconds between them: where the story of a request is
just being read, its claim is known a moment later."""

REMEMBERED = 10_000
"""Claims that were handed back, and are not again."""

Background = Callable[[Coroutine[Any, Any, None]], None]


class TakeOver:
    """Hands back to the queue what the dead have claimed of this gateway's requests.

    Each claim once: by a second time the item may be another's, who would lose it.

    _looks: of those that are looked after, how many looks are left.
    """

    def __init__(
        self, bus: Bus, logs: Logs, fleet: Fleet, partings: Partings, background: Background
    ) -> None:
        self._bus = bus
        self._fleet = fleet
        self._logs = logs
        self._partings = partings
        self._background = background
        self._looks: dict[Writer, int] = {}
        self._given: dict[str, None] = {}
        partings.on_parting = self._notice

    async def catch_up(self) -> None:
        """Do so for those who died before this gateway listened, or knew what they hold."""
        holders = self._logs.own.tracks.holders()
        await asyncio.gather(*(self._release(writer) for writer in holders))

    def _notice(self, writer: Writer) -> None:
        """One has parted, or a claim of one that had is heard of."""
        attended = writer in self._looks
        self._looks[writer] = LOOKS
        if not attended:
            self._background(self._attend(writer))

    async def _attend(self, writer: Writer) -> None:
        try:
            while self._looks[writer]:
                self._looks[writer] -= 1
                await self._release(writer)
                await asyncio.sleep(PAUSE)
        finally:
            del self._looks[writer]

    async def _release(self, writer: Writer) -> None:
        held = [track for track in self._logs.own.tracks.held_by(writer) if self._is_due(track)]
        if not (held or self._fleet.has(writer)) or not await self._is_gone(writer):
            return
        self._fleet.parted(writer)
        released = 0
        for track in held:
            claim = track.run.claim
            if track.run.pen is None or track.run.pen[1] != writer or claim is None:
                continue  # somebody was quicker while we asked
            if not subjects.acknowledges(claim.ack_reply, claim.model, claim.item):
                continue  # a gateway may write where a worker may not: not at its bidding
            try:
                await nak(self._bus, claim.ack_reply)
            except BusError as error:
                log.debug("%s could not be given to others: %s", track.rid, error)
                continue
            self._note(claim.uid)
            released += 1
        if released:
            log.info("%s is gone; %d of its requests go to others", writer, released)

    def _is_due(self, track: Track) -> bool:
        return track.run.claim is not None and track.run.claim.uid not in self._given

    def _note(self, claim: str) -> None:
        self._given[claim] = None
        if len(self._given) > REMEMBERED:
            del self._given[next(iter(self._given))]

    async def _is_gone(self, writer: Writer) -> bool:
        """By the broker's word; one that answers had lost its connection only."""
        heard = self._partings.heard(writer)
        for patience in PATIENCE:
            says = await ask(self._bus, writer, "", patience, lambda: self._partings.heard(writer))
            if says is Says.GONE:
                return True
            if says is not Says.SILENT:
                self._partings.forget(writer, heard)
                return False
        return False
