"""Runs the `mesh` command with an echo engine that hangs in a step, as a library on a GPU may.

    python -m tests.acceptance.hanging worker --worker-name w1 --engine echo ...

After HANG_AFTER tokens of an answer a thread of its own hangs, for which its end waits, and the end
of the interpreter. With HANG_DEAF it does not even let go of an answer that it is told to leave.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event

from mesh.cli.main import main
from mesh.settings import WorkerSettings
from mesh.worker.engines import echo
from mesh.worker.engines.base import Job, Reader, Step

AFTER = int(os.environ["HANG_AFTER"])
DEAF = bool(os.environ.get("HANG_DEAF"))


class First:
    """Has a reader hear the first tokens."""

    full = False

    def __init__(self, reader: Reader) -> None:
        self.left = AFTER
        self._reader = reader

    def hear(self, step: Step) -> bool:
        self.left -= 1
        return self._reader.hear(step) and self.left > 0


class HangingEngine(echo.EchoEngine):
    def __init__(self, settings: WorkerSettings) -> None:
        super().__init__(settings)
        self._threads = ThreadPoolExecutor(1)

    async def generate(self, job: Job, reader: Reader) -> None:
        first = First(reader)
        await super().generate(job, first)
        if not first.left:
            await self._hang()

    async def close(self) -> None:
        await super().close()
        await asyncio.to_thread(self._threads.shutdown, wait=True)

    async def _hang(self) -> None:
        hanging = asyncio.wrap_future(self._threads.submit(Event().wait))
        while DEAF:
            with suppress(asyncio.CancelledError):
                await asyncio.shield(hanging)
        await hanging


if __name__ == "__main__":
    echo.EchoEngine = HangingEngine  # type: ignore[misc]
    main()
