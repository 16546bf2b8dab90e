"""One HTTP/1.1 connection that asks for one streamed answer after another. Reads, judges nothing.

While a load is on, a read costs two list entries and a look at its last bytes; what the bytes
mean is found out afterwards, so that the client does not become what is measured.
"""

import asyncio
from time import perf_counter
from typing import NamedTuple, Self, cast
from urllib.parse import urlsplit

END = b"\r\n0\r\n\r\n"
"""The last bytes of a chunked body whose last chunk ends as an event does (RFC 9112, 7.1)."""


class Read(NamedTuple):
    """Bytes of a response, and when they came, by `time.perf_counter`."""

    at: float
    data: bytes


class Connection(asyncio.Protocol):
    """A connection of one's own. Make one with `open`; `ask` as long as it is `usable`."""

    def __init__(self) -> None:
        self.usable = False
        self._reads: list[Read] = []
        self._tail = b""
        self._answered: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to the server of a URL (http only). Raises OSError."""
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        host, port = parts.hostname or "127.0.0.1", parts.port or 80
        _, connection = await loop.create_connection(cls, host, port)
        return connection

    async def ask(self, request: bytes, timeout: float) -> list[Read]:
        """Send a request and collect its response up to the end, the loss of the connection or

        `timeout` seconds. A response with another status than 200 is not waited for.
        """
        assert self._transport is not None
        self._reads, self._tail = [], b""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            async with asyncio.timeout(timeout):
                await self._answered
        except TimeoutError:
            self.close()
        return self._reads

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    # --- what the event loop calls ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass
        self.usable = True

    def data_received(self, data: bytes) -> None:
        first = not self._reads
        self._reads.append(Read(perf_counter(), data))
        self._tail = data if len(data) >= len(END) else self._tail + data
        if self._tail.endswith(END):
            self._finish()
        elif first and not data.startswith(b"HTTP/1.1 200"):
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._finish()

    def _finish(self) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)
