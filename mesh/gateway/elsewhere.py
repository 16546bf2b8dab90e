"""Refuses an idempotency key under which something of another kind was begun.

Answers share their ids, whatever the route, and a digest tells those apart; runs have others, by
what gateways of all versions put before the key. So under a key there is looked for the rest,
before anything is begun. Of two kinds that are asked for in the same moment neither is found by
the other, and a run on a thread, whose id is made of the thread, too, is not found from elsewhere.
"""

import asyncio

from mesh.bus.jetstream import JetStream
from mesh.bus.replay import last_event
from mesh.gateway.errors import PROCESS, AnyRequest
from mesh.gateway.headers import KEY, idempotency_key
from mesh.gateway.openai.repeating import ANOTHER
from mesh.gateway.runs.telling import in_time
from mesh.gateway.services import Services
from mesh.protocol.errors import ErrorCode, MeshError

RUNS, THREADS = "/v1/runs", "/v1/threads/"
BEFORE = {RUNS: "run\n", PROCESS: "process\n", THREADS: None}
"""What stands before the key in what ids are made of; None: more than that."""


async def check_elsewhere(services: Services, request: AnyRequest) -> None:
    """Raise MeshError (conflict) where the key of a request has led elsewhere.

    Without a key, or on a route that honours none, the log is not asked.
    """
    honoured = KEY in request.route_handler.opt.get("headers", {})
    key = idempotency_key(request) if honoured else ""
    if not key:
        return
    principal = services.doorman.principal(request)
    others = {"", *BEFORE.values()} - {None, _before(request.scope["path"])}
    ids = [services.rid(principal, f"{before}{key}") for before in others]
    if await in_time(_any_begun(services.js, ids)):
        raise MeshError(ErrorCode.CONFLICT, ANOTHER)


def _before(path: str) -> str | None:
    found = [before for beginning, before in BEFORE.items() if path.startswith(beginning)]
    return found[0] if found else ""


async def _any_begun(js: JetStream, ids: list[str]) -> bool:
    return any(await asyncio.gather(*(last_event(js, each) for each in ids)))
