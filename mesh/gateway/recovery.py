"""Finds the requests that were open when this gateway stopped, and sees to their end again.

Whoever is written in their log goes on by itself; what needs a gateway is the rest: a request
that was queued in the log and not put before the workers, one whose worker has died meanwhile,
and one that nobody ends in time.
"""

import asyncio
import logging

from mesh.bus.connection import BusError
from mesh.gateway.living import Living
from mesh.gateway.requests import Requests
from mesh.gateway.takeover import TakeOver
from mesh.gateway.unfinished import Unfinished
from mesh.protocol.errors import MeshError

log = logging.getLogger(__name__)

AT_ONCE = 64
"""Requests whose stories are read together."""


async def recover(
    unfinished: Unfinished, requests: Requests, take_over: TakeOver, living: Living, name: str
) -> None:
    """Take back the open requests of the gateway `name`; tries until the log could be read.

    Begins when it is sure that they are not another's who lives under that name.
    """
    await living.alone.wait()
    while True:
        try:
            runs = (await unfinished.read()).items()
            mine = [rid for rid, run in runs if run.queued and run.queued.request.reply == name]
            for start in range(0, len(mine), AT_ONCE):
                some = mine[start : start + AT_ONCE]
                await asyncio.gather(*(requests.take_back(rid) for rid in some))
            if mine:
                log.info("Took back %d open requests", len(mine))
            await take_over.catch_up()
            return
        except (BusError, MeshError) as error:
            log.debug("Looking for open requests: %s", error)
            await asyncio.sleep(1.0)
