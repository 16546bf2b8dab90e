"""A wire between two processes: TCP connections that may be cut, kept cut, or slow."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from tests.chaos.narrow import HELD, connect, listening


class Width(NamedTuple):
    """How much of what was said a connection holds before it presses back: so many reads, of so

    many bytes at most.
    """

    reads: int
    read: int


WIDE, NARROW = Width(256, 1 << 16), Width(32, 1 << 9)


class Wire:
    """Forwards connections to a port. While it is `broken`, new ones are not made; `delay`, in

    seconds, is added to what is said in both directions.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self.broken = False
        self.delay = 0.0

    async def start(self) -> None:
        connected = partial(self._connected, WIDE)
        self._servers.append(await asyncio.start_server(connected, "127.0.0.1", 0))

    async def narrow(self) -> int:
        """Open another way in, and return its port: whoever comes there and reads slowly is soon
        felt at the other end."""
        connected = partial(self._connected, NARROW)
        self._servers.append(await asyncio.start_server(connected, sock=listening()))
        return _port(self._servers[-1])

    @property
    def port(self) -> int:
        """Where it is connected to."""
        return _port(self._servers[0])

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def close(self) -> None:
        assert self._servers
        self.broken = True
        for server in self._servers:
            server.close()
        self.cut()
        while self._tasks:  # also those that were just being connected
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(
        self, width: Width, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._begin(self._connect(width, reader, writer))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(
        self, width: Width, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.broken:
            writer.transport.abort()
            return
        try:
            there, back = await self._reach(width)
        except OSError:
            writer.transport.abort()
            return
        if width is NARROW:
            writer.transport.set_write_buffer_limits(HELD)
        self._writers |= {writer, back}
        self._begin(self._forward(width, reader, back))
        self._begin(self._forward(width, there, writer))
        if self.broken:  # meanwhile
            self.cut()

    async def _reach(self, width: Width) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the target. Raises OSError."""
        if width is WIDE:
            return await asyncio.open_connection("127.0.0.1", self._target)
        there = await connect("127.0.0.1", self._target)
        return await asyncio.open_connection(sock=there, limit=HELD)

    async def _forward(
        self, width: Width, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        """Pass on what is said. What is late does not hold up what comes behind it."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(width.reads)
        hearing = asyncio.create_task(self._listen(width, source, under_way))
        try:
            with suppress(OSError):
                while (said := await under_way.get())[1]:
                    await self._arrive(*said)
                    sink.write(said[1])
                    await sink.drain()
        finally:
            hearing.cancel()
        sink.close()
        with suppress(OSError):  # what was said before the end arrives as well
            await sink.wait_closed()
        self._writers.discard(sink)

    async def _listen(
        self,
        width: Width,
        source: asyncio.StreamReader,
        under_way: asyncio.Queue[tuple[float, bytes]],
    ) -> None:
        """Note when what is said is to arrive; nothing stands for the end."""
        data = b"."
        while data:
            try:
                data = await source.read(width.read)
            except OSError:
                data = b""
            await under_way.put((asyncio.get_running_loop().time() + self.delay, data))

    async def _arrive(self, due: float, data: bytes) -> None:
        """Wait before passing on what was said."""
        await asyncio.sleep(due - asyncio.get_running_loop().time())


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port
