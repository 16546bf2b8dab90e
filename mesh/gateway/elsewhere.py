"""Refuses an idempotency key under which something of another kind was begun.

Answers share their ids, whatever the route, and a digest tells those apart; drafts and runs have
others (`keys.py`). So under a key there is looked for the rest, before anything is begun. Of two
kinds that are asked for in the same moment neither is found by the other, and a run on a thread,
whose id is made of the thread, too, is found from elsewhere only if `POST /v1/runs` began it, which
notes that.
"""

import asyncio

from mesh.bus.history import last_event
from mesh.bus.jetstream import JetStream
from mesh.gateway import keys
from mesh.gateway.errors import AnyRequest
from mesh.gateway.headers import KEY, idempotency_key
from mesh.gateway.runs.telling import in_time
from mesh.gateway.services import Services


async def check_elsewhere(services: Services, request: AnyRequest) -> None:
    """Raise MeshError (conflict) where the key of a request has led elsewhere.

    Without a key, or on a route that honours none, the log is not asked.
    """
    said = request.route_handler.opt
    key = idempotency_key(request) if KEY in said.get("headers", {}) else ""
    if not key:
        return
    principal, own = services.doorman.principal(request), said.get("leads_to", (keys.answer,))
    ids = [services.rid(principal, kind(key)) for kind in keys.KINDS if kind not in own]
    if await in_time(_any_begun(services.js, ids)):
        raise keys.led_elsewhere()


async def _any_begun(js: JetStream, ids: list[str]) -> bool:
    return any(await asyncio.gather(*(last_event(js, each) for each in ids)))
