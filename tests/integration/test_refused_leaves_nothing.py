"""Of a request that was refused nothing is to be seen: no chat, no question, no answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from mesh.gateway.queue import Queue
from tests.chatting import messages, new_chat, ok, refusal
from tests.integration.test_asked_anew import busy
from tests.integration.test_drafts import question
from tests.whole_mesh import ECHO, SINGLE, SLOW, Mesh


@pytest.fixture
def limited(new_mesh: Callable[..., Mesh]) -> Mesh:
    """A mesh in which a person may have one request under way."""
    mesh = new_mesh(limit_concurrent=1)
    mesh.start("store", "gateway", ECHO, SLOW)
    return mesh


@pytest.fixture
def crowded(new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch) -> Mesh:
    """A mesh in whose queue a person may have one request for a model, as two might find it who
    look at once: each sees room for one, and one of them is refused by the queue itself."""
    mesh = new_mesh(req_max_per_tenant=1)
    mesh.start("store", "gateway", SINGLE)

    async def room(queue: Queue, *of_whom: object) -> None:
        """There was some when it was looked for."""

    monkeypatch.setattr(Queue, "check_room", room)
    return mesh


@asynccontextmanager
async def one_running(mesh: Mesh, http: httpx.AsyncClient, model: str) -> AsyncIterator[None]:
    async with busy(mesh, http, model, 1):
        yield


async def seen(http: httpx.AsyncClient, chat: str) -> list[dict[str, Any]]:
    """All messages of a chat, once the store has read all of the log."""
    ok(await http.get("/next_chat_id"))  # which is not answered before
    return await messages(http, chat)


async def chats(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    ok(await http.get("/next_chat_id"))
    found: list[dict[str, Any]] = ok(await http.get("/chats"))["chats"]
    return found


async def accepted(http: httpx.AsyncClient, url: str, body: Any, key: str = "") -> httpx.Response:
    """The answer, once there is room."""
    headers = {"Idempotency-Key": key} if key else {}
    async with asyncio.timeout(60):
        while (response := await http.post(url, json=body, headers=headers)).status_code == 429:
            await asyncio.sleep(0.1)
    assert response.status_code == 200, response.text
    return response


@pytest.mark.parametrize("model", ["none", SINGLE])
async def test_a_model_that_nobody_serves_begins_no_chat(limited: Mesh, model: str) -> None:
    async with await limited.client("ada") as http:
        body = {"prompt": "hello", "model": model, "username": "ada"}
        assert b'"error"' in (await http.post("/generate", json=body)).content
        assert await chats(http) == []
        assert ok(await http.get("/next_chat_id")) == {"chat_id": 1}


@pytest.mark.parametrize("where", [{"username": "ada"}, {"chat_id": 7}])
async def test_a_limit_begins_no_chat(limited: Mesh, where: dict[str, Any]) -> None:
    async with await limited.client("ada") as http:
        async with one_running(limited, http, SLOW):
            body = {"prompt": "hello", "model": ECHO} | where
            assert (await http.post("/generate", json=body)).status_code == 429
            assert await chats(http) == []


@pytest.mark.parametrize("key", ["", "mine"])
async def test_what_the_queue_refuses_is_said_once_when_it_is_asked_again(
    crowded: Mesh, key: str
) -> None:
    headers = {"Idempotency-Key": key} if key else {}
    body = {"prompt": "hello there", "model": SINGLE, "chat_id": 3}
    async with await crowded.client("ada") as http:
        async with one_running(crowded, http, SINGLE):
            for _ in range(2):
                refused = await http.post("/generate", json=body, headers=headers)
                assert refused.status_code == 429, refused.text
            assert await chats(http) == []
        await accepted(http, "/generate", body, key)
        (chat,) = await chats(http)
        said = [(each["role"], each["content"]) for each in await messages(http, chat["id"])]
        assert said == [("prompter", "hello there"), ("assistant", "hello there")]


@pytest.mark.parametrize("key", ["", "mine"])
async def test_a_chat_shows_nothing_of_what_the_queue_refused(crowded: Mesh, key: str) -> None:
    headers = {"Idempotency-Key": key} if key else {}
    async with await crowded.client("ada") as http:
        chat = await new_chat(http)
        url = f"/chats/{chat}/messages"
        body = {"content": "hello", "model_config_name": SINGLE}
        async with one_running(crowded, http, SINGLE):
            refusal(await http.post(url, json=body, headers=headers), 429, "share_full")
            assert await seen(http, chat) == []
            assert [each["title"] for each in await chats(http)] == [None]
        await accepted(http, url, body, key)
        assert len(await seen(http, chat)) == 2


@pytest.mark.parametrize("route", ["assistant_message", "drafts"])
async def test_an_answer_that_the_queue_refused_is_not_beside_the_next_one(
    crowded: Mesh, route: str
) -> None:
    async with await crowded.client("ada") as http:
        chat = await new_chat(http)
        parent = await question(http, chat)
        url = f"/chats/{chat}/{route}"
        body: Any = {"parent_id": parent, "model_config_name": SINGLE}
        if route == "drafts":
            body |= {"n": 2}
        async with one_running(crowded, http, SINGLE):
            assert (await http.post(url, json=body)).status_code in (429, 503)
            assert [message["id"] for message in await seen(http, chat)] == [parent]
