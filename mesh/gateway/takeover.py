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

Background = Callable[[Coroutine[Any, Any, None]], None]


class TakeOver:
    """Hands back to the queue what the dead have claimed of this gateway's requests."""

    def __init__(
        self, bus: Bus, logs: Logs, fleet: Fleet, partings: Partings, background: Background
    ) -> None:
        self._bus = bus
        self._fleet = fleet
        self._logs = logs
        self._partings = partings
        partings.on_parting = lambda writer: background(self._release(writer))

    async def catch_up(self) -> None:
        """Do so for those who died before this gateway listened, or knew what they hold."""
        holders = self._logs.own.tracks.holders()
        await asyncio.gather(*(self._release(writer) for writer in holders))

    async def _release(self, writer: Writer) -> None:
        held = self._logs.own.tracks.held_by(writer)
        if not (held or self._fleet.has(writer)):
            return
        if not await self._is_gone(writer):
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
                released += 1
            except BusError as error:
                log.debug("%s could not be given to others: %s", track.rid, error)
        if released:
            log.info("%s is gone; %d of its requests go to others", writer, released)

    async def _is_gone(self, writer: Writer) -> bool:
        """By the broker's word; one that answers had lost its connection only."""
        parted = self._partings.heard(writer)
        for patience in PATIENCE:
            says = await ask(self._bus, writer, "", patience, parted)
            if says is Says.GONE:
                return True
            if says is not Says.SILENT:
                self._partings.forget(writer)
                return False
        return False
