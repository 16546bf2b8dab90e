"""Keeps the log from forgetting answers that are still wanted: no new requests when it is full.

The log drops its oldest messages at `max_bytes`; what is being answered and read must not be
among them.
"""

import asyncio
import logging

from mesh.bus.connection import BusError
from mesh.bus.jetstream import JetStream
from mesh.protocol import subjects
from mesh.protocol.errors import ErrorCode, MeshError

log = logging.getLogger(__name__)

FULL = 0.8
"""The part of the log's bytes above which new requests are refused."""

LOOK = 2.0
"""Seconds between two looks, and until it is worth trying again."""


class LogBudget:
    """How full the log is."""

    def __init__(self, js: JetStream) -> None:
        self._js = js
        self._full = False

    def check(self) -> None:
        """Raise MeshError (queue_full) while the log has no room for new requests."""
        if self._full:
            raise MeshError(
                ErrorCode.QUEUE_FULL,
                "The mesh's log is nearly full, so new requests have to wait until old ones are "
                "dropped; raise MESH_RUN_MAX_BYTES or lower MESH_RUN_MAX_AGE if it happens often.",
                retry_after=10 * LOOK,
            )

    async def watch(self) -> None:
        """Look at the log now and then, until cancelled."""
        while True:
            try:
                info = await self._js.stream_info(subjects.RUN_STREAM)
                limit = info.config.max_bytes
                full = 0 < limit * FULL <= info.state.bytes
                if full and not self._full:
                    log.warning("The log is nearly full; new requests are refused")
                self._full = full
            except BusError as error:
                log.debug("Looking at the log's size: %s", error)
            await asyncio.sleep(LOOK)
