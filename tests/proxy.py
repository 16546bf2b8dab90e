"""A wire with scissors: a TCP proxy before the broker that can swallow what the broker says."""

import asyncio
from typing import Self


class Proxy:
    """Forwards connections to a port. `deaf` swallows all answers; `cut` breaks all connections.

    deaf_at: once these bytes were said to the broker, it is deaf. pace: bytes a second that the
    broker's answers come at, at most.
    """

    def __init__(self, port: int, deaf_at: bytes = b"", pace: float = float("inf")) -> None:
        self._target = port
        self._pace = pace
        self._deaf_at = deaf_at
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.deaf = False
        self.swallowed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Break every connection; new ones are forwarded again, and heard."""
        self.deaf = False
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, back}
        for source, sink, answers in ((reader, back, False), (there, writer, True)):
            task = asyncio.create_task(self._forward(source, sink, answers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, answers: bool
    ) -> None:
        try:
            while data := await source.read(65536):
                if self._deaf_at and self._deaf_at in data and not answers:
                    self.deaf = True
                if answers and self.deaf:
                    self.swallowed.set()
                else:
                    sink.write(data)
                    await asyncio.sleep(len(data) / self._pace if answers else 0)
        except ConnectionError:
            pass
        finally:
            sink.close()
