"""The events of a stream take a way of their own to the client, and to nobody who wants none."""

from typing import Any

from litestar.types import Message

from mesh.gateway.event_stream import STRAIGHT, EventStream, Wire, over
from mesh.gateway.head import Head


async def _write(wire: Wire) -> None:
    await wire.write(b"data: 1\n\n")


async def _stream(scope: Any, receive: Any, send: Any) -> None:
    await EventStream(_write).to_asgi_response()(scope, receive, send)


async def _asked(method: str) -> tuple[list[Message], list[Message]]:
    """What came of a stream in the end, and what of it the layers before that have seen."""
    sent: list[Message] = []
    seen: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def look(message: Message) -> None:
        seen.append(message)
        await send(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    scope: Any = {"type": "http", "method": method, "state": {STRAIGHT: send}}
    await Head(_stream)(scope, receive, look)
    over(scope)
    return sent, seen


async def test_the_events_go_straight_to_the_client() -> None:
    sent, seen = await _asked("GET")
    assert [message.get("body") for message in sent] == [None, b"data: 1\n\n", b""]
    assert [message.get("body") for message in seen] == [None, b""]


async def test_who_asks_for_the_headers_alone_is_sent_no_event() -> None:
    sent, _ = await _asked("HEAD")
    assert [message.get("body") for message in sent] == [None, b""]
