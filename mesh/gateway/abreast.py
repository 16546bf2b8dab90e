"""How much one user asks of workers beside the queue at a time: embeddings, and what texts have.

There are no lanes there: a worker does first what it was asked first. So a user's questions are put
to workers a few at a time, those of all their HTTP requests together: who has a thousand of them
keeps others waiting for no more than these few.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

from mesh.gateway.limits.limiter import SOON
from mesh.protocol.errors import ErrorCode, MeshError

AT_ONCE = 8
"""Questions of one user that workers are asked at once by one gateway."""


class Abreast:
    """Who asks at one gateway. most: HTTP requests of one user that may be under way."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._going: Counter[str] = Counter()
        self._places: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @contextmanager
    def of(self, user: str) -> Iterator[asyncio.Semaphore]:
        """While an HTTP request of a user is answered: the places, one for each question that is
        put to a worker. Raises MeshError (share_full)."""
        if self._going[user] >= self._most:
            raise MeshError(ErrorCode.SHARE_FULL, retry_after=SOON)
        self._going[user] += 1
        try:
            yield self._places.setdefault(user, asyncio.Semaphore(AT_ONCE))
        finally:
            self._going[user] -= 1
            if not self._going[user]:
                del self._going[user]
