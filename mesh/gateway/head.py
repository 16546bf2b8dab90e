"""HEAD on every route that has GET (RFC 9110, section 9.3.2): the same headers, and no body."""

import asyncio
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from mesh.gateway.event_stream import STRAIGHT


class Head:
    """ASGI middleware: asks the application with GET, and keeps what follows the headers back.

    The application is told that the client has left then, so that a stream does not go on for
    nobody.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        answered = asyncio.Event()

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                answered.set()

        asked = iter([receive])  # once: the request itself

        async def receive_until_answered() -> Any:
            if (ask := next(asked, None)) is not None:
                return await ask()
            await answered.wait()
            return {"type": "http.disconnect"}

        scope["method"] = "GET"
        scope["state"][STRAIGHT] = send_head
        await self._app(scope, receive_until_answered, send_head)
