"""The client of one request: whether it is still there, and how long its headers may be held.

Watches from the moment its body was read until the request is over; what is done when it has left
is decided by whoever asks.
"""

import asyncio

from mesh.gateway.errors import AnyRequest
from mesh.gateway.event_stream import leaving
from mesh.protocol.errors import ErrorCode, MeshError


class Client:
    """Make it once the body was read: whatever else comes is read away.

    patience: seconds, from now on, that a stream's headers may be held back; gone: done once the
    client has left.
    """

    def __init__(self, request: AnyRequest, patience: float) -> None:
        self.until = asyncio.get_running_loop().time() + patience
        self.gone = leaving(request.scope, request.receive)

    def check(self) -> None:
        """Raise MeshError (cancelled) if the client has left; nobody will read it."""
        if self.gone.done():
            raise left_early()


def left_early() -> MeshError:
    """The error of a request whose client has left; nobody will read it."""
    return MeshError(ErrorCode.CANCELLED, "The client has left.")
