"""Gives the requests of a worker that has died to others at once, on the broker's word.

Only hastens what happens anyway: without that word they are handed out again when the queue's
patience (`MESH_ACK_WAIT`) is over. Who may go on with a request is decided by its next claim.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from mesh.bus.asking import lives
from mesh.bus.connection import Bus, BusError
from mesh.bus.partings import Partings
from mesh.bus.presence import Fleet
from mesh.bus.pull import nak
from mesh.gateway.logs import Logs
from mesh.protocol import subjects
from mesh.protocol.subjects import Writer

log = logging.getLogger(__name__)

LATECOMERS = (0.0, 0.25, 1.0)
"""Seconds to wait before each look: a claim may reach us after the word of its writer's death."""

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
        released: set[str] = set()
        for pause in LATECOMERS:
            await asyncio.sleep(pause)
            parted = self._partings.heard(writer)
            theirs = self._logs.own.tracks.held_by(writer)
            held = [track for track in theirs if track.rid not in released]
            if not (held or self._fleet.has(writer)):
                continue
            if await lives(self._bus, writer, parted):
                continue
            self._fleet.parted(writer)
            for track in held:
                claim = track.run.claim
                if track.run.pen is None or track.run.pen[1] != writer or claim is None:
                    continue  # somebody was quicker while we asked
                if not subjects.acknowledges(claim.ack_reply, claim.model, claim.item):
                    continue  # a gateway may write where a worker may not: not at its bidding
                try:
                    await nak(self._bus, claim.ack_reply)
                    released.add(track.rid)
                except BusError as error:
                    log.debug("%s could not be given to others: %s", track.rid, error)
        if released:
            log.info("%s is gone; %d of its requests go to others", writer, len(released))
