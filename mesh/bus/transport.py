"""nats-py's TCP transport, mended where a handshake fails."""

import ssl
from urllib.parse import ParseResult

from nats.aio.transport import TcpTransport


class Transport(TcpTransport):
    """A connection whose end is not waited for where TLS could not be agreed on.

    asyncio's start_tls takes a connection away from the stream that would be told of its end; when
    it fails, nats-py would wait for that word for ever instead of dialling again.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._failed = False

    def __bool__(self) -> bool:
        return True  # else nats-py puts one of its own in its place

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        self._failed = False
        await super().connect(uri, buffer_size, connect_timeout)

    async def connect_tls(
        self,
        uri: str | ParseResult,
        ssl_context: ssl.SSLContext,
        buffer_size: int,
        connect_timeout: int,
    ) -> None:
        try:
            await super().connect_tls(uri, ssl_context, buffer_size, connect_timeout)
        except BaseException:
            self._failed = True
            if self._io_writer is not None:
                self._io_writer.transport.abort()
            raise

    async def wait_closed(self) -> None:
        if not self._failed:
            await super().wait_closed()  # type: ignore[no-untyped-call]
