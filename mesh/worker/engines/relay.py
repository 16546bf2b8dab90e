"""Hands the steps of one job from an engine's loop to the job's reader. Not thread-safe.

Both sides run on the same event loop; an engine with a thread of its own comes over with
`call_soon_threadsafe` first.
"""

from asyncio import Future, get_running_loop
from collections import deque
from collections.abc import AsyncGenerator

from mesh.protocol.errors import MeshError
from mesh.worker.engines.base import EngineError, Step


class Relay:
    """A queue of steps with one reader, ended by a step with `finish` or by an error."""

    __slots__ = ("_error", "_steps", "_waiter")

    def __init__(self) -> None:
        self._steps: deque[Step] = deque()
        self._waiter: Future[None] | None = None
        self._error: EngineError | MeshError | None = None

    @property
    def unread(self) -> int:
        """Steps that the reader has not taken yet."""
        return len(self._steps)

    def put(self, step: Step) -> None:
        """Give the reader its next step."""
        self._steps.append(step)
        if self._waiter is not None:
            self._wake()

    def fail(self, error: EngineError | MeshError) -> None:
        """End the reader with an error, after the steps it has not taken yet; the first counts."""
        self._error = self._error or error
        if self._waiter is not None:
            self._wake()

    async def read(self) -> AsyncGenerator[Step, None]:
        """Yield steps up to the one with `finish`. Raises the error given to `fail`."""
        loop = get_running_loop()
        steps = self._steps
        while True:
            while steps:
                step = steps.popleft()
                yield step
                if step.finish is not None:
                    return
            if self._error is not None:
                raise self._error
            self._waiter = loop.create_future()
            await self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
