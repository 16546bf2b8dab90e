"""A reader of an engine's steps, for who wants them one by one."""

import asyncio
from collections.abc import AsyncGenerator

from mesh.worker.engines.base import Engine, Job, Step

UNREAD = 256
"""Steps that it has not been asked for, at which it had rather wait."""


class Listener:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.unread: asyncio.Queue[Step] = asyncio.Queue()

    @property
    def full(self) -> bool:
        return self.unread.qsize() >= UNREAD

    def hear(self, step: Step) -> bool:
        self.unread.put_nowait(step)
        return True


async def listen(engine: Engine, job: Job) -> AsyncGenerator[Step, None]:
    """The steps of a job; it is cancelled where this is closed before its end."""
    listener = Listener()
    working = asyncio.create_task(engine.generate(job, listener))
    try:
        while not (working.done() and listener.unread.empty()):
            if listener.unread.empty():
                hearing = asyncio.create_task(listener.unread.get())
                await asyncio.wait({working, hearing}, return_when=asyncio.FIRST_COMPLETED)
                if not hearing.done():
                    hearing.cancel()
                    continue
                yield hearing.result()
            else:
                yield listener.unread.get_nowait()
        working.result()
    finally:
        working.cancel()
        await asyncio.wait({working})
