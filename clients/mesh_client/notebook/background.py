"""A daemon thread with an event loop of its own: what streams in a notebook runs there.

Never on the kernel's own loop: that one stands still while a cell runs, and with it every answer
and every Stop button.
"""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """One loop on one thread. It ends with the process, or by `close`."""

    def __init__(self, name: str = "mesh") -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin something there; whoever cancels the future cancels the work."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something there and wait for it; an interrupted wait cancels the work."""
        future = self.start(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def await_(self, work: Coroutine[Any, Any, T]) -> T:
        """`wait` for who is on another loop; a cancelled wait cancels the work."""
        return await asyncio.wrap_future(self.start(work))

    def close(self) -> None:
        """Cancel what runs there, and end the thread."""
        if self._thread.is_alive():
            self.wait(_end_the_others())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.close()


async def _end_the_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
