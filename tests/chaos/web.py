"""A small HTTP/1.1 client over plain sockets, cheap enough for hundreds of streams at once."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.chaos.narrow import HELD, connect

Broken = (OSError, EOFError, asyncio.IncompleteReadError, TimeoutError, ValueError)
"""What a connection that breaks, or never answers, may raise."""

SILENCE = 30.0
"""Seconds without a byte after which a connection is given up: streams say at least a comment."""

SIP, REST = 8192, 0.03
"""Bytes that a slow reader reads at once, and seconds from then to the next."""


class Response:
    """A status, and a body that is read line by line, or whole.

    url: of the server, no path; slowly: in sips; chunks: bytes of each chunk of the body as yet.
    """

    def __init__(
        self,
        url: str,
        status: int,
        headers: Mapping[str, str],
        reader: asyncio.StreamReader,
        slowly: bool,
    ) -> None:
        self.url = url
        self.status = status
        self.headers = headers
        self.chunks: list[int] = []
        self._reader = reader
        self._slowly = slowly

    async def lines(self) -> AsyncIterator[str]:
        """The lines of the body. Raises one of `Broken` if it does not come to its end."""
        rest = b""
        async for part in self._parts():
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                yield line.decode()
        if rest:
            yield rest.decode()

    async def events(self) -> AsyncIterator[tuple[int | None, Any]]:
        """The Server-Sent Events: each one's id, if any, and its data."""
        number: int | None = None
        async for line in self.lines():
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: "):
                yield number, json.loads(line[6:])
            elif not line:
                number = None

    async def json(self) -> Any:
        return json.loads("\n".join([line async for line in self.lines()]) or "null")

    async def _parts(self) -> AsyncIterator[bytes]:
        if "content-length" in self.headers:
            yield await self._reader.readexactly(int(self.headers["content-length"]))
            return
        if self.headers.get("transfer-encoding") != "chunked":
            return
        while left := int(await self._line(), 16):
            self.chunks.append(left)
            while left:
                part = await self._part(left)
                left -= len(part)
                yield part
            await self._line()
        await self._line()

    async def _part(self, left: int) -> bytes:
        """The rest of a chunk, or a sip of it."""
        if self._slowly:
            await asyncio.sleep(REST)
        async with asyncio.timeout(SILENCE):
            return await self._reader.readexactly(min(left, SIP) if self._slowly else left)

    async def _line(self) -> bytes:
        async with asyncio.timeout(SILENCE):
            line = await self._reader.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("the connection was cut")
        return line


@asynccontextmanager
async def send(
    method: str,
    url: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    slowly: bool = False,
) -> AsyncIterator[Response]:
    """Send one request on a connection of its own; leaving hangs up. Raises one of `Broken`.

    slowly: read the answer in sips, out of a socket that holds next to nothing.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None and parts.port is not None
    if slowly:
        there = await connect(parts.hostname, parts.port)
        reader, writer = await asyncio.open_connection(sock=there, limit=HELD)
    else:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        data = b"" if body is None else json.dumps(body).encode()
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [
            f"{method} {target} HTTP/1.1",
            f"Host: {parts.netloc}",
            f"Content-Length: {len(data)}",
        ]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        async with asyncio.timeout(SILENCE):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        found = (line.partition(": ") for line in head[1:] if line)
        fields = {name.lower(): value for name, _, value in found}
        server = f"{parts.scheme}://{parts.netloc}"
        yield Response(server, int(head[0].split()[1]), fields, reader, slowly)
    finally:
        writer.transport.abort()
