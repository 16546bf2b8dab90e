"""Sees to it that nothing of a refused request is kept where its place in a chat was made first."""

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from mesh.bus.follow import Track
from mesh.gateway.services import Services
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Turn
from mesh.protocol.taking_back import TakeBack

log = logging.getLogger(__name__)


@asynccontextmanager
async def taken_back(services: Services, turn: Turn, said: bool) -> AsyncIterator[None]:
    """While a planned request is queued; said: its question is said with it."""
    try:
        yield
    except MeshError as error:
        if error.code is not ErrorCode.CONFLICT:  # that one is another request's place
            await take_back(services, turn, said)
        raise


async def take_back(
    services: Services, turn: Turn, said: bool, withdrawn: Iterable[Track] = ()
) -> None:
    """Have the store forget a turn. While it cannot, what was refused is shown as that."""
    await _ask(
        services,
        TakeBack(
            user_id=turn.user_id,
            chat_id=turn.chat_id,
            question=turn.user_message.id,
            said=said,
            withdrawn=tuple(track.rid for track in withdrawn),
        ),
    )


async def close_empty(services: Services, user_id: str, chat_id: str) -> None:
    """Have the store forget a chat by number, unless something was said in it."""
    await _ask(services, TakeBack(user_id=user_id, chat_id=chat_id))


async def _ask(services: Services, query: TakeBack) -> None:
    try:
        await services.store.ask(query)
    except MeshError as error:
        log.warning("Chat %s keeps what was refused: %s", query.chat_id, error.detail)
