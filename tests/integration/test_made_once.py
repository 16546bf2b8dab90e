"""What is made under an idempotency key is made once, or the key is refused in words."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.chatting import answer
from tests.whole_mesh import Mesh

KEY = {"Idempotency-Key": "made"}


async def made(http: httpx.AsyncClient, url: str, body: Any, key: str = "made") -> str:
    response = await http.post(url, json=body, headers={"Idempotency-Key": key})
    assert response.status_code == 200, response.text
    id: str = response.json()["id"]
    return id


async def check_conflict(http: httpx.AsyncClient, url: str, body: Any) -> None:
    response = await http.post(url, json=body, headers=KEY)
    assert response.status_code == 422, response.text
    assert "use a new key" in response.text


@pytest.mark.parametrize(
    ("url", "body", "another"),
    [
        ("/chats", {}, {"title": "b"}),
        ("/v1/threads", {"messages": [{"content": "hello"}]}, {}),
        ("/v1/assistants", {"name": "Ada"}, {"name": "Eve"}),
    ],
)
async def test_a_thing_is_made_once_under_a_key(
    mesh: Mesh, url: str, body: Any, another: Any
) -> None:
    async with await mesh.client(f"makes {url}") as http, await mesh.client("other") as other:
        ids = await asyncio.gather(*(made(http, url, body) for _ in range(3)))
        assert len(set(ids)) == 1
        await check_conflict(http, url, another)
        assert await made(http, url, body, "another") != ids[0]
        assert await made(other, url, body) != ids[0], "a key is one's own"
        listed = (await http.get(url)).json()
        assert len(listed["chats"] if url == "/chats" else listed["data"]) == 2
        without = [(await http.post(url, json=body)).json()["id"] for _ in range(2)]
        assert without[0] != without[1]


async def test_a_chat_is_found_by_its_key_as_it_went_on_and_not_made_again(mesh: Mesh) -> None:
    async with await mesh.client("goes on") as http:
        chat = await made(http, "/chats", {})
        await answer(http, chat, "hello")
        again = await http.post("/chats", json={}, headers=KEY)
        assert (again.json()["id"], again.json()["title"]) == (chat, "hello")
        await http.delete(f"/chats/{chat}")
        gone = await http.post("/chats", json={}, headers=KEY)
        assert gone.status_code == 422
        assert "deleted" in gone.text


async def test_a_message_is_written_in_a_thread_once_under_a_key(mesh: Mesh) -> None:
    async with await mesh.client("writes once") as http:
        thread = (await http.post("/v1/threads", json={})).json()["id"]
        url = f"/v1/threads/{thread}/messages"
        body = {"content": "hello"}
        ids = await asyncio.gather(*(made(http, url, body) for _ in range(3)))
        assert len(set(ids)) == 1
        assert await made(http, "/v1/messages", body | {"thread_id": thread}) == ids[0]
        await check_conflict(http, url, {"content": "other"})
        await check_conflict(http, url, body | {"metadata": {"a": "b"}})
        other = (await http.post("/v1/threads", json={})).json()["id"]
        await check_conflict(http, f"/v1/threads/{other}/messages", body)
        outcome = {"thread_id": thread, "content": "noon", "tool_call_id": "c"}
        await check_conflict(http, "/v1/messages/tools", outcome)
        assert len((await http.get(url)).json()["data"]) == 1


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("/account/keys", {"name": "mine"}),
        ("/v1/tools", {"function": {"name": "clock"}}),
        ("/v1/users", {"name": "eve"}),
        ("/chats/any/shares", None),
        ("/v1/embeddings", {"model": "echo", "input": "x"}),
        ("/tokenize", {"model": "echo", "prompt": "x"}),
    ],
)
async def test_where_a_key_does_nothing_it_is_refused(mesh: Mesh, url: str, body: Any) -> None:
    async with await mesh.client("no key") as http:
        response = await http.post(url, json=body, headers=KEY)
    assert response.status_code == 400, response.text
    assert "An Idempotency-Key does nothing here; leave it out." in response.text
