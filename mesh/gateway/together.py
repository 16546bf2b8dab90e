"""Lets requests in that belong together, as the answers to one body: all of them, or none.

Each is queued by itself afterwards; what is not queued in the end is given back.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from msgspec.structs import replace

from mesh.gateway.services import Services
from mesh.protocol.request import Request


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

    Those that their idempotency keys have begun already are not counted again; of two tries at once
    the second waits until the first is through. So do others that are to wait at the same place in
    the queue: of two that each find room for all, neither might get it. Raises MeshError:
    rate_limited, forbidden, queue_full, share_full, and bad_request for more than is ever let in.
    """
    if len(requests) == 1:
        yield
        return
    first, turn = requests[0], services.limiter.turn
    place = f"{first.model} {first.tenant}"
    async with turn(first.rid), turn(place):
        reserved = await _reserve(services, requests, body, chat, param)
        try:
            yield
        finally:
            services.limiter.release(reserved)


async def _reserve(
    services: Services, requests: Sequence[Request], body: str, chat: bool, param: str
) -> list[str]:
    """The ids of those that were not begun yet, which count from now on."""
    new = await _new(services, requests, body)
    if not new:
        return []
    first, queue = new[0], services.requests.queue
    await queue.check_room(first.model, first.tenant, first.priority, len(new), param)
    return await services.limiter.reserve(new, chat, param)


async def _new(services: Services, requests: Sequence[Request], body: str) -> list[Request]:
    """Those that are not in the log yet, under the ids that they will have there."""
    if not body:
        return list(requests)
    tried = await asyncio.gather(*(services.requests.tried(each.rid, body) for each in requests))
    return [
        replace(each, rid=found.rid)
        for each, found in zip(requests, tried, strict=True)
        if found.track is None
    ]
