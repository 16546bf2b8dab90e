"""What a question to the store has to wait for: the last that the log tells of a chat or a user.

Whoever was told something, by whichever gateway, was told it out of the log, before it asks. So the
log is read on to where it ends now, and the answer is never older than what its reader knows; and
chats of which nothing was told of late are read though the store be far behind.
"""

import asyncio
from contextlib import suppress

from mesh.bus.connection import BusError
from mesh.gateway.errors import broker_away
from mesh.gateway.unfinished import Unfinished

PATIENCE = 2.0
"""Seconds that reading on may take. The first reading of a gateway that has just started, from a
long log's beginning, is not waited for any longer; every other is of what came a moment ago."""


class Latest:
    """Asked for each question about chats, just before it is put to the store."""

    def __init__(self, unfinished: Unfinished) -> None:
        self._unfinished = unfinished

    async def of(self, id: str) -> int:
        """The `min_seq` of a question about this chat, or all chats of this user; 0: nothing to
        wait for. Raises MeshError (broker_unavailable) where the log cannot be read."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._unfinished.catch_up()
                    return self._unfinished.seen.last(id)
        except BusError as error:
            raise broker_away() from error
        if self._unfinished.whole:
            raise broker_away()
        return self._unfinished.seen.last(id)
