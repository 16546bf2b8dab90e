"""A wire between two processes: TCP connections that may be cut, kept cut, or slow."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

UNDER_WAY = 256
"""How many reads' worth of what was said a wire holds before it presses back."""


class Wire:
    """Forwards connections to a port. While it is `broken`, new ones are not made; `delay`, in

    seconds, is added to what is said in both directions.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.broken = False
        self.delay = 0.0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)

    @property
    def port(self) -> int:
        """Where it is connected to."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def close(self) -> None:
        assert self._server is not None
        self.broken = True
        self._server.close()
        self.cut()
        while self._tasks:  # also those that were just being connected
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._begin(self._connect(reader, writer))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.broken:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        self._begin(self._forward(reader, back))
        self._begin(self._forward(there, writer))
        if self.broken:  # meanwhile
            self.cut()

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass on what is said. What is late does not hold up what comes behind it."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY)
        listening = asyncio.create_task(self._listen(source, under_way))
        try:
            with suppress(OSError):
                while (said := await under_way.get())[1]:
                    await self._arrive(*said)
                    sink.write(said[1])
                    await sink.drain()
        finally:
            listening.cancel()
        sink.close()
        with suppress(OSError):  # what was said before the end arrives as well
            await sink.wait_closed()
        self._writers.discard(sink)

    async def _listen(
        self, source: asyncio.StreamReader, under_way: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        """Note when what is said is to arrive; nothing stands for the end."""
        data = b"."
        while data:
            try:
                data = await source.read(1 << 16)
            except OSError:
                data = b""
            await under_way.put((asyncio.get_running_loop().time() + self.delay, data))

    async def _arrive(self, due: float, data: bytes) -> None:
        """Wait before passing on what was said."""
        await asyncio.sleep(due - asyncio.get_running_loop().time())
