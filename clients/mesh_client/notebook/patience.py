"""Asks once more what the mesh could not take just then, as happens to who asks much at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from mesh_client.errors import Refused
from mesh_client.retry import Backoff, Retry

T = TypeVar("T")

LONGEST = 60.0
"""Seconds in which nothing at all was taken, after which a refusal is final."""


class Patience:
    """What many questions share: as long as some of them are taken, the others may hope."""

    def __init__(self) -> None:
        self._taken = time.monotonic()
        self._over = asyncio.Event()

    async def take(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What asking gives, sooner or later. Raises MeshClientError: Refused where the mesh names
        no time to ask again, or too late a one, or after `end`."""
        backoff = Backoff(Retry(), LONGEST, self._taken)
        while True:
            try:
                found = await ask()
            except Refused as error:
                after = error.retry_after
                backoff.heard(self._taken)
                pause = backoff.loss(time.monotonic(), after)
                if after is None or after > LONGEST or pause is None:
                    raise
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._over.wait(), pause)
                if self._over.is_set():
                    raise
            else:
                self._taken = time.monotonic()
                return found

    def end(self) -> None:
        """Ask no more."""
        self._over.set()
