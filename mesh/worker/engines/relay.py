"""Hands the steps of one job from an engine's loop to the job's reader. Not thread-safe.

Everything here is on one event loop; an engine with a thread of its own comes over with
`call_soon_threadsafe` first.
"""

from asyncio import Future, get_running_loop

from mesh.protocol.errors import MeshError
from mesh.worker.engines.base import EngineError, Reader, Step


class Relay:
    """The way to one reader, from the first step to the one with `finish`, or to an error.

    A step is heard at once, by no task of its own: to wake one for each token was a fifth of what
    a token costs a worker.
    """

    __slots__ = ("_hear", "_over", "_reader")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._hear = reader.hear
        self._over: Future[None] = get_running_loop().create_future()

    @property
    def full(self) -> bool:
        """Whether the reader had rather wait."""
        return self._reader.full

    def put(self, step: Step) -> None:
        """Give the reader its next step. After the last one, or an error, nothing is heard."""
        if self._over.done():
            return
        try:
            more = self._hear(step)
        except Exception as error:  # of this reader's, and no other's
            self._over.set_exception(error)
            return
        if not more or step.finish is not None:
            self._over.set_result(None)

    def fail(self, error: EngineError | MeshError) -> None:
        """End it with an error; what ended it before counts."""
        if not self._over.done():
            self._over.set_exception(error)

    async def over(self) -> None:
        """Wait until the reader has all that it wants. Raises the error given to `fail`, and what
        the reader raised. Cancelled, it hears no more."""
        await self._over
