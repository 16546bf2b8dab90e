"""Tries on while the broker does not answer, for what a service has to have; and one at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from mesh.bus.api import ApiError
from mesh.bus.connection import Bus, BusError
from mesh.protocol.errors import ErrorCode, MeshError

T = TypeVar("T")
log = logging.getLogger(__name__)

AGAIN = 0.5
"""Seconds between two tries."""


class Insisting:
    """Does one step after the other, each until the broker has answered.

    Says once that it waits, and once for each reason that the broker itself gives.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._said: set[int | None] = set()

    async def on(self, step: Callable[[], Awaitable[T]]) -> T:
        """The result of a step, which is begun anew whenever it raises BusError.

        Raises MeshError (broker_unavailable) once the broker has ended the connection for good.
        """
        while True:
            try:
                return await step()
            except BusError as error:
                self._say(error)
            if self._bus.closed.is_set():
                detail = "The broker ended the connection for good."
                raise MeshError(ErrorCode.BROKER_UNAVAILABLE, detail)
            await asyncio.sleep(AGAIN)

    def _say(self, error: BusError) -> None:
        why = error.code if isinstance(error, ApiError) else None
        if why not in self._said:
            self._said.add(why)
            log.warning("The broker is not ready yet; waiting for it: %s", error)


class Rounds:
    """Does something whenever it is asked for, one at a time: asked for while it is being done, it
    is done once more, however often that was.

    start: begins what nobody waits for.
    """

    def __init__(
        self,
        work: Callable[[], Awaitable[object]],
        start: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._work = work
        self._start = start
        self._asked = False
        self._busy = False

    def ask(self) -> None:
        self._asked = True
        if not self._busy:
            self._busy = True
            self._start(self._run())

    async def _run(self) -> None:
        try:
            while self._asked:
                self._asked = False
                await self._work()
        finally:
            self._busy = False
