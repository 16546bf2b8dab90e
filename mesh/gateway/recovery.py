"""Finds the requests that were open when this gateway stopped, and sees to their end again.

Whoever is written in their log goes on by itself; what needs a gateway is the rest: a request
that was queued in the log and not put before the workers, one whose worker has died meanwhile,
and one that nobody ends in time.
"""

import asyncio
import logging
from collections.abc import Sequence

from mesh.bus.connection import BusError
from mesh.gateway.living import Living
from mesh.gateway.requests import Requests
from mesh.gateway.takeover import TakeOver
from mesh.gateway.unfinished import Unfinished
from mesh.protocol.errors import MeshError

log = logging.getLogger(__name__)

AT_ONCE = 64
"""Requests whose stories are read together."""

TAKING = 5.0
"""Seconds that one of them may take: others wait for it, and a sweeper has a lease to renew."""


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
            await take_back_all(requests, mine)
            if mine:
                log.info("Took back %d open requests", len(mine))
            await take_over.catch_up()
            return
        except (BusError, MeshError) as error:
            log.debug("Looking for open requests: %s", error)
            await asyncio.sleep(1.0)


async def take_back_all(requests: Requests, rids: Sequence[str]) -> None:
    """Take back many, some of them together; what befalls one costs the others nothing.

    Raises BusError, MeshError (broker_unavailable): once all were tried, if some are to be again.
    """
    again: BusError | MeshError | None = None
    for start in range(0, len(rids), AT_ONCE):
        some = rids[start : start + AT_ONCE]
        taking = (asyncio.wait_for(requests.take_back(rid), TAKING) for rid in some)
        came = await asyncio.gather(*taking, return_exceptions=True)
        for rid, error in zip(some, came, strict=True):
            if isinstance(error, BusError | MeshError):
                again = error
            elif isinstance(error, TimeoutError):
                log.warning("%s could not be taken back in %g s", rid, TAKING)
            elif error is not None:
                log.error("%s could not be taken back", rid, exc_info=error)
    if again is not None:
        raise again
