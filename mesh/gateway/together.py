"""Lets requests in that belong together, as the answers to one body: all of them, or none.

Each is queued by itself afterwards; what is not queued in the end is given back.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from msgspec.structs import replace

from mesh.gateway.services import Services
from mesh.protocol.messages import Request


@asynccontextmanager
async def together(
    services: Services,
    requests: Sequence[Request],
    body: str = "",
    chat: bool = False,
    param: str = "n",
) -> AsyncIterator[None]:
    """While these requests are queued one by one. body, chat: as for `Requests.submit`;
    param: what asks for so many.

    Those that their idempotency keys have begun already are not counted again. Raises MeshError:
    rate_limited, forbidden, queue_full, share_full, and bad_request for more than the limits ever
    let in.
    """
    new = await _new(services, requests, body) if len(requests) > 1 else []
    if not new:
        yield
        return
    first = new[0]
    await services.requests.queue.check_room(first.model, first.tenant, first.priority, len(new))
    reserved = await services.limiter.reserve(new, chat, param)
    try:
        yield
    finally:
        services.limiter.release(reserved)


async def _new(services: Services, requests: Sequence[Request], body: str) -> list[Request]:
    """Those that are not in the log yet, under the ids that they will have there."""
    if not body:
        return list(requests)
    tried = [await services.requests.tried(each.rid, body) for each in requests]
    return [
        replace(each, rid=found.rid)
        for each, found in zip(requests, tried, strict=True)
        if found.track is None
    ]
