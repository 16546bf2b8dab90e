"""The client of one request: whether it is still there, and how long its headers may be held.

Watches from the moment its body was read until its response begins; what is done when it has left
is decided by whoever asks.
"""

import asyncio
from typing import Self

from mesh.gateway.errors import AnyRequest
from mesh.gateway.event_stream import hang_up
from mesh.protocol.errors import ErrorCode, MeshError


class Client:
    """Use it with `async with`, once the body was read: whatever else comes is read away.

    patience: seconds, from now on, that a stream's headers may be held back.
    """

    gone: "asyncio.Task[None]"
    """Done once the client has left."""

    def __init__(self, request: AnyRequest, patience: float) -> None:
        self.until = asyncio.get_running_loop().time() + patience
        self._request = request

    async def __aenter__(self) -> Self:
        self.gone = asyncio.create_task(hang_up(self._request.receive))
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.gone.cancel()
        await asyncio.wait([self.gone])  # the response will listen in its place

    def check(self) -> None:
        """Raise MeshError (cancelled) if the client has left; nobody will read it."""
        if self.gone.done():
            raise left_early()


def left_early() -> MeshError:
    """The error of a request whose client has left; nobody will read it."""
    return MeshError(ErrorCode.CANCELLED, "The client has left.")
