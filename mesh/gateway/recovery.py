"""Finds the requests that were open when this gateway stopped, and sees to their end again.

Whoever is written in their log goes on by itself; what needs a gateway is the rest: a request
that was queued in the log and not put before the workers, and one that nobody ends in time.
"""

import asyncio
import logging

from mesh.bus.connection import BusError
from mesh.gateway.requests import Requests
from mesh.gateway.unfinished import Unfinished
from mesh.protocol.errors import MeshError

log = logging.getLogger(__name__)

AT_ONCE = 64
"""Requests whose stories are read together."""


async def recover(unfinished: Unfinished, requests: Requests) -> None:
    """Take back the open requests of an address; tries until the log could be read."""
    while True:
        try:
            rids = list(await unfinished.read())
            for start in range(0, len(rids), AT_ONCE):
                some = rids[start : start + AT_ONCE]
                await asyncio.gather(*(requests.take_back(rid) for rid in some))
            if rids:
                log.info("Took back %d open requests", len(rids))
            return
        except (BusError, MeshError) as error:
            log.debug("Looking for open requests: %s", error)
            await asyncio.sleep(1.0)
