"""Stops an answer of a chat and says how it ended; who may ask for it is decided by the routes."""

import asyncio

from msgspec import Struct

from mesh.bus.follow import Track
from mesh.gateway import from_log
from mesh.gateway.client import Client
from mesh.gateway.errors import AnyRequest, broker_away
from mesh.gateway.services import Services
from mesh.protocol.chats import MessageState
from mesh.protocol.run import Run

STOPPING = 10.0
"""Seconds to wait for a cancelled answer's end before saying how it stands."""


class Cancellation(Struct, frozen=True):
    """How an answer stands after it was to be cancelled, and how many tokens it has.

    cancelled is false where it had ended before, or where its worker has not answered yet: the
    cancel stands in the log then, and whoever goes on with the request will end it.
    """

    cancelled: bool
    state: MessageState
    tokens: int


async def stop(services: Services, request: AnyRequest, run: Run, rid: str, by: str) -> Run:
    """Cancel a request unless it has ended, and wait for its end; returns how it stands then.

    Raises MeshError (broker_unavailable).
    """
    track = await services.requests.logs.find(rid) if run.end is None else None
    if track is None:
        return run
    await _stop(services, request, track, by)
    return track.run


def cancellation(run: Run) -> Cancellation:
    """How a request stands, for whoever asked to cancel it."""
    state = from_log.state(run)
    return Cancellation(state == "cancelled", state, _tokens(run))


async def _stop(services: Services, request: AnyRequest, track: Track, by: str) -> None:
    """Cancel and wait for the end, for a while. Raises MeshError (broker_unavailable) where that
    it is to be cancelled could not be stored yet; it is tried on, as long as this gateway lives.
    """
    stored = asyncio.Event()

    async def cancel() -> None:
        with services.requests.logs.reading(track):
            await services.requests.endings.cancel(track, by)
        stored.set()

    services.requests.background(cancel())
    try:
        async with asyncio.timeout(STOPPING):
            await stored.wait()
            client = Client(request, STOPPING)
            await services.streams.ended(track, client)
    except TimeoutError:
        if not stored.is_set():
            raise broker_away() from None


def _tokens(run: Run) -> int:
    """What the engine counted, else the pieces that were read."""
    if run.end is None or run.end.seal is None:
        return len(run.texts)
    return run.end.usage.completion_tokens or run.end.seal.count
