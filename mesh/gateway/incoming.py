"""The body of an HTTP request as it comes in: whether it is too long, and whether it is all there.

What is refused before its body was read is read away first, within reason: the HTTP server closes
the connection under whoever is still sending, and then the refusal is never heard.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from litestar.types import HTTPReceiveMessage, Receive, WebSocketReceiveMessage

from mesh.protocol.errors import ErrorCode, MeshError

READ_AWAY_BYTES, READ_AWAY_SECONDS = 64 << 20, 10.0
"""How much of a body that nobody wants is read, and for how long."""


class Incoming:
    """The body of one request. most: bytes that are accepted."""

    def __init__(self, receive: Receive, headers: Mapping[bytes, bytes], most: int) -> None:
        self._receive = receive
        self._most = most
        self._said = headers.get(b"content-length", b"")
        self._asks = headers.get(b"expect", b"").lower() == b"100-continue"
        self._read = 0
        self._over = self._said in (b"", b"0") and b"transfer-encoding" not in headers

    async def check(self) -> None:
        """Raise MeshError (too_large) for a body that says that it is too long."""
        if self._said.isdigit() and int(self._said) > self._most:
            await self.read_away()
            raise MeshError(
                ErrorCode.TOO_LARGE,
                f"The body has {int(self._said):,} bytes; at most {self._most:,} are accepted.",
            )

    async def receive(self) -> HTTPReceiveMessage | WebSocketReceiveMessage:
        """The application's own `receive`. What did not say how long it is, and is too long, is
        refused when it is decoded."""
        message = await self._receive()
        self._note(message)
        if self._read > self._most:
            await self.read_away()
        return message

    async def read_away(self) -> None:
        """Read what is still to come, within reason: who sends on after that hears no answer.

        Who asks before sending (RFC 9110, section 10.1.1) has not begun to, and is not told to.
        """
        self._over = self._over or (self._asks and not self._read)
        until = self._read + READ_AWAY_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_AWAY_SECONDS):
                while not self._over and self._read < until:
                    self._note(await self._receive())
        self._over = True

    def _note(self, message: HTTPReceiveMessage | WebSocketReceiveMessage) -> None:
        if message["type"] == "http.request":
            self._read += len(message["body"])
            self._over = self._over or not message["more_body"]
        else:
            self._over = True
