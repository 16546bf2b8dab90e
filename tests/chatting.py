"""What a person does in a chat, over plain HTTP, as tests do it again and again."""

from dataclasses import dataclass
from typing import Any

import httpx
import msgspec


@dataclass(frozen=True)
class Event:
    """One Server-Sent Event of an answer. id is None where it had none."""

    id: int | None
    data: dict[str, Any]

    @property
    def kind(self) -> str:
        found: str = self.data["event_type"]
        return found


async def new_chat(http: httpx.AsyncClient) -> str:
    """The id of a chat that was just begun."""
    chat: str = ok(await http.post("/chats", json={}))["id"]
    return chat


async def ask(
    http: httpx.AsyncClient,
    chat: str,
    content: str,
    *,
    model: str = "echo",
    parent: str | None = None,
    key: str = "",
    **body: Any,
) -> dict[str, Any]:
    """Say something and begin its answer; returns both messages."""
    body |= {"content": content, "parent_id": parent, "model_config_name": model}
    headers = {"Idempotency-Key": key} if key else {}
    asked: dict[str, Any] = ok(
        await http.post(f"/chats/{chat}/messages", json=body, headers=headers)
    )
    return asked


async def answer(
    http: httpx.AsyncClient, chat: str, content: str, **options: Any
) -> dict[str, Any]:
    """Say something and wait for the answer's end; returns the answer."""
    asked = await ask(http, chat, content, **options)
    message = asked["assistant_message"]["id"]
    await events(http, chat, message)
    return await get_message(http, chat, message)


async def get_message(http: httpx.AsyncClient, chat: str, message: str) -> dict[str, Any]:
    found: dict[str, Any] = ok(await http.get(f"/chats/{chat}/messages/{message}"))
    return found


async def messages(http: httpx.AsyncClient, chat: str) -> list[dict[str, Any]]:
    """All messages of a chat, oldest first."""
    found: list[dict[str, Any]] = ok(await http.get(f"/chats/{chat}"))["messages"]
    return found


async def events(
    http: httpx.AsyncClient,
    chat: str,
    message: str,
    *,
    after: int | None = None,
    most: int | None = None,
) -> list[Event]:
    """Read an answer's events, all or until there are `most` tokens; [] where there are none."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    path = f"/chats/{chat}/messages/{message}/events"
    found: list[Event] = []
    async with http.stream("GET", path, headers=headers) as response:
        assert response.status_code in (200, 204), await response.aread()
        id: int | None = None
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                id = int(value)
            elif name == "data":
                found.append(Event(id, msgspec.json.decode(value)))
                id = None
            if most is not None and len(tokens(found)) >= most:
                break
    return found


def tokens(found: list[Event]) -> list[str]:
    """The texts of the token events."""
    return [event.data["text"] for event in found if event.kind == "token"]


def ids(found: list[Event]) -> list[int | None]:
    """The ids of the token events."""
    return [event.id for event in found if event.kind == "token"]


def ok(response: httpx.Response) -> Any:
    """The JSON of a response that has to be a success."""
    assert response.status_code == 200, response.text
    return response.json()


def refusal(response: httpx.Response, status: int, code: str) -> str:
    """The sentence of a refusal that has to be this one, in the shape that all have."""
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), response.text
    assert body.keys() - {"param"} == {"detail", "code", "request_id"}
    assert body["request_id"] == response.headers["x-request-id"]
    detail: str = body["detail"]
    assert detail.strip()
    return detail


async def pending(
    http: httpx.AsyncClient, chat: str, message: str, *, at: tuple[int, int] | None = None
) -> tuple[int, int]:
    """Position and size that a waiting answer's stream tells first, or once they are `at`."""
    path = f"/chats/{chat}/messages/{message}/events"
    async with http.stream("GET", path) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                event = msgspec.json.decode(line.removeprefix("data: "))
                assert event["event_type"] == "pending", event
                place = (event["queue_position"], event["queue_size"])
                if at in (None, place):
                    return place
    raise AssertionError(f"the stream ended before it told {at}")
