"""The tasks of a service that run as long as it does. Knows nothing of the broker.

A rule for all of them: none dies unnoticed. One that fails is in the log with its traceback, and
ends its service in order, which whoever keeps it running then starts anew; or, where each of its
rounds begins from nothing and its service can do without it for a while, it is started again.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from mesh.protocol.errors import ErrorCode, MeshError

Work = Coroutine[Any, Any, None]
log = logging.getLogger(__name__)

PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds until what failed is started again, at first, and at most; each next one doubles."""

SETTLED = 60.0
"""Seconds after which the next failure counts as the first."""


class Lasting:
    """One service's. `failed` is set once it cannot go on, for one of them has failed.

    Who starts one may cancel it; one that returns has done what it had to.
    """

    def __init__(self) -> None:
        self.failed = asyncio.Event()
        self._why = ""
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Work) -> asyncio.Task[None]:
        """Begin with what the service cannot do without."""
        task = asyncio.create_task(work, name=_name(work))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def start_again(self, work: Callable[[], Work]) -> asyncio.Task[None]:
        """Begin with what is begun again, after growing pauses, whenever it fails: `work` makes it
        anew, and knows nothing of the time before."""
        return self.start(_again(work))

    def check(self) -> None:
        """Raises MeshError (internal) if the service cannot go on."""
        if self.failed.is_set():
            raise MeshError(
                ErrorCode.INTERNAL,
                f"{self._why} failed, without which this process is of no use: it ends, to be "
                "started again. The traceback is in its log.",
            )

    async def close(self) -> None:
        """Cancel all, and wait until they have ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            if task.cancelling():
                return
            log.error("%s was cancelled by what it waited for; this process ends", task.get_name())
        elif (error := task.exception()) is None:
            return
        else:
            log.error("%s failed; this process ends", task.get_name(), exc_info=error)
        self._why = self._why or task.get_name()
        self.failed.set()


async def _again(work: Callable[[], Work]) -> None:
    clock, pause = asyncio.get_running_loop().time, PAUSE
    while True:
        began, doing = clock(), work()
        name = _name(doing)
        try:
            return await doing
        except Exception:
            pause = PAUSE if clock() - began > SETTLED else pause
            log.exception("%s failed; starting it again in %g s", name, pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _name(work: Work) -> str:
    return str(getattr(work, "__qualname__", work))
