"""Finds the requests that were open when this gateway stopped, and sees to their end again.

Whoever is written in their log goes on by itself; what needs a gateway is the rest: a request
that was queued in the log and not put before the workers, and one that nobody ends in time.
"""

import asyncio
import logging

from mesh.bus.connection import BusError
from mesh.bus.replay import apply
from mesh.bus.tail import Tail
from mesh.gateway.requests import Requests
from mesh.protocol import subjects
from mesh.protocol.run import Run

log = logging.getLogger(__name__)

BATCH = 1024
AT_ONCE = 64
"""Requests whose stories are read together."""


async def recover(tail: Tail, requests: Requests, reply: str) -> None:
    """Take back the open requests of a reply address; tries until the log could be read."""
    while True:
        try:
            rids = await _open(tail, reply)
            for start in range(0, len(rids), AT_ONCE):
                some = rids[start : start + AT_ONCE]
                await asyncio.gather(*(requests.take_back(rid) for rid in some))
            if rids:
                log.info("Took back %d open requests", len(rids))
            return
        except BusError as error:
            log.debug("Looking for open requests: %s", error)
            await asyncio.sleep(1.0)


async def _open(tail: Tail, reply: str) -> list[str]:
    """The requests of an address that have a beginning in the log and no end."""
    runs: dict[str, Run] = {}
    at = 0
    while batch := await tail.read(at, BATCH):
        for stored in batch:
            where = subjects.parse_run(stored.subject)
            if where.reply == reply:
                runs.setdefault(where.rid, Run(bare=True))
                apply(runs, stored)
        runs = {rid: run for rid, run in runs.items() if run.end is None}
        at = batch[-1].seq
    return [rid for rid, run in runs.items() if run.queued is not None]
