"""Tells the log of what was answered beside it: that it was asked, and what that took.

Neither what was asked nor what came of it: a request that begins and ends, so that whoever counts
by the log counts it, at every gateway and in the store. No worker ever sees it.
"""

import asyncio
import logging

from msgspec.structs import replace

from mesh.bus.appender import Fenced, append_to, new_uid
from mesh.bus.connection import BusError
from mesh.gateway.logs import PATIENCE
from mesh.gateway.services import Services
from mesh.protocol.events import Done, Queued, Timings, Usage
from mesh.protocol.request import Request

log = logging.getLogger(__name__)


async def tell(services: Services, request: Request, tokens: int) -> None:
    """A request that was let in (`Limiter.admit`) was answered, and its prompts had so many tokens.

    Its deadline is now: should this gateway die between the two events, nobody asks it of a worker.
    Without a log it counts at this gateway alone.
    """
    js, writer, rid, now = services.js, services.requests.writer, request.rid, services.clock()
    begun = Queued(uid=new_uid(), request=replace(request, deadline=now, queue_deadline=now))
    spent, took = Usage(prompt_tokens=tokens), Timings(generate=now - request.created)
    done = Done(uid=new_uid(), finish="stop", usage=spent, timings=took)
    try:
        async with asyncio.timeout(PATIENCE):
            at = await append_to(js, request, writer, begun, 0)
            at = await append_to(js, request, writer, done, at)
    except (BusError, TimeoutError, Fenced) as error:
        log.warning("%s took %d tokens, which the log was not told: %s", rid, tokens, error)
        services.limiter.ended(rid, tokens)
    else:  # the answer's headers say what is left
        services.limiter.counts.hear(rid, done, at, now)
