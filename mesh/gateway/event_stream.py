"""The HTTP response of an event stream: writes what its writer gives, notices when the client left.

Instead of the framework's own streaming, because nothing is ever cancelled in the middle of a
write here: the writer is told that the client has gone, and cleans up as any function does. It
runs in a task of its own: inside the request's, each wake would pass through all its layers.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
_HEADERS.append((b"content-type", b"text/event-stream; charset=utf-8"))

STRAIGHT = "straight"
"""Where a request keeps the way to its client past all layers that look at headers alone: each
event of a stream takes it."""

GONE = "gone"
"""Where a request keeps the task that is done once its client has left: one for all who ask."""


class Wire:
    """The way to one client. `gone` is done once it has left."""

    def __init__(self, send: Send, gone: "asyncio.Task[None]") -> None:
        self._send = send
        self.gone = gone

    def write(self, events: bytes) -> Awaitable[None]:
        """Send whole events."""
        return self._send({"type": "http.response.body", "body": events, "more_body": True})


Writer = Callable[[Wire], Awaitable[None]]
"""Writes all events of one response; should return soon after the client has gone."""


class EventStream(Response[bytes]):
    """A response of Server-Sent Events, written by `writer`."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(b"", media_type="text/event-stream", headers=HEADERS)
        self._writer = writer

    def to_asgi_response(self, *args: Any, **kwargs: Any) -> ASGIResponse:
        """The framework's hook; all that it does with what it gets is to call it."""
        return _Application(self._writer)  # type: ignore[return-value]


class _Application:
    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
        wire = Wire(scope["state"].get(STRAIGHT, send), leaving(scope, receive))
        await asyncio.create_task(self._write(wire))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, wire: Wire) -> None:
        await self._writer(wire)


def leaving(scope: Scope, receive: Receive) -> "asyncio.Task[None]":
    """The task that is done once the client of a request has left, or the request is over.

    Call it once the body was read: whatever else comes is read away.
    """
    state = scope["state"]
    if GONE not in state:
        state[GONE] = asyncio.create_task(_hang_up(receive))
    found: asyncio.Task[None] = state[GONE]
    return found


def over(scope: Scope) -> None:
    """Nobody waits any more for the client of a request to leave, nor writes to it.

    The way to the client knows of the request again. Left in it, all that belongs to a request
    would be there until the garbage collector comes, which all the others wait for.
    """
    scope["state"].pop(STRAIGHT, None)
    gone: asyncio.Task[None] | None = scope["state"].get(GONE)
    if gone is not None:
        gone.cancel()


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
