"""Chats by number: `POST /generate` with a name, `/history`, `/fetch`, `/next_chat_id` (B7)."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.chatting import ok, refusal
from tests.integration.test_generate import events
from tests.whole_mesh import ECHO, SLOW, Mesh


async def say(
    http: httpx.AsyncClient, prompt: str, chat_id: int | None = None, **body: Any
) -> list[dict[str, Any]]:
    body = {"prompt": prompt, "model": ECHO, "chat_id": chat_id} | body
    response = await http.post("/generate", json=body)
    assert response.status_code == 200, response.text
    return events(response)


async def fetched(http: httpx.AsyncClient, chat_id: int, **body: str) -> list[tuple[int, str]]:
    """Number and text of each message."""
    found = ok(await http.post("/fetch", json={"chat_id": chat_id} | body))["Success"]
    return [(number, text) for number, text, _ in found["messages"]]


async def test_a_chat_goes_on_with_what_was_said_in_it(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        who = {"username": "numbered-ann"}
        assert ok(await http.get("/next_chat_id", params=who)) == {"chat_id": 1}
        assert (await say(http, "one", 1, **who))[-1] == {"done": True, "total_tokens": 1}
        assert ok(await http.get("/next_chat_id", params=who)) == {"chat_id": 2}
        await say(http, "two words", 1, **who)
        await say(http, "elsewhere", None, **who)
        assert await fetched(http, 1, **who) == [
            (1, "one"),
            (2, "one"),
            (3, "two words"),
            (4, "two words"),
        ]
        assert ok(await http.post("/history", json=who)) == [
            {"chat_id": 1, "latest_msg": "two words"},
            {"chat_id": 2, "latest_msg": "elsewhere"},
        ]
    async with await mesh.client("numbered-ann") as signed_in:
        chats = ok(await signed_in.get("/chats"))["chats"]
        assert [chat["title"] for chat in chats] == ["elsewhere", "one"]
        assert await fetched(signed_in, 1) == await fetched(signed_in, 1, username="somebody")


async def test_the_model_is_shown_the_chat(mesh: Mesh) -> None:
    """The second prompt is counted with the first and its answer before it."""
    async with await mesh.client("numbered-shown") as http:
        await say(http, "one two three four", 1)
        await say(http, "five", 1)
        chat = ok(await http.get("/chats"))["chats"][0]["id"]
        answers = [
            message["usage"]["prompt_tokens"]
            for message in ok(await http.get(f"/chats/{chat}"))["messages"]
            if message["role"] == "assistant"
        ]
    assert answers[1] > answers[0] + 4


def refusal_of(response: httpx.Response) -> str:
    """As everywhere, and besides as clients of this route expect it."""
    body = response.json()
    assert (response.status_code, body["code"]) == (404, "not_found")
    assert body["request_id"] == response.headers["x-request-id"]
    detail: str = body["detail"]
    return detail


async def test_what_is_not_there_is_said(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        nobody = {"username": "numbered-nobody"}
        assert ok(await http.post("/history", json=nobody)) == []
        for chat_id in (1, 0, -5):
            response = await http.post("/fetch", json=nobody | {"chat_id": chat_id})
            told = refusal_of(response)
            assert told == response.json()["Error"]["message"] and f"`{chat_id}`" in told
        users = {"username": "numbered-bob"}
        await say(http, "mine", 3, **users)
        response = await http.post("/fetch", json=nobody | {"chat_id": 3})
        assert response.status_code == 404


@pytest.mark.parametrize("chat_id", [2**31, 2**63 - 1, 2**63, 2**64, 10**30, -(10**30)])
async def test_a_number_beyond_all_chats_is_refused(mesh: Mesh, chat_id: int) -> None:
    async with mesh.anonymous() as http:
        who: Any = {"username": "numbered-far"}
        await say(http, "near", **who)
        response = await http.post("/fetch", json=who | {"chat_id": chat_id})
        if chat_id < 2**63:
            assert f"`{chat_id}`" in refusal_of(response)
        else:
            assert "9223372036854775807" in refusal(response, 400, "bad_request")


async def test_without_a_name_nothing_is_kept_and_nothing_shown(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        refusal(await http.post("/history", json={}), 403, "not_authenticated")
        refusal(await http.post("/fetch", json={"chat_id": 1}), 403, "not_authenticated")
        refusal(await http.get("/next_chat_id"), 403, "not_authenticated")
        response = await http.post("/generate", json={"prompt": "x", "chat_id": 1})
        assert response.status_code == 401 and "username" in events(response)[0]["error"]
        for wrong in ({"chat_id": 0}, {"chat_id": 2**40}, {"chat_id": "one"}):
            response = await http.post("/generate", json={"prompt": "x", "username": "n"} | wrong)
            assert response.status_code == 400
        control = await http.post("/history", json={"username": "a\x00b"})
        assert refusal(control, 400, "bad_request")


async def test_a_name_is_no_sign_in_on_a_network(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(allowed_hosts="127.0.0.1")
    mesh.start("gateway")
    async with mesh.anonymous() as http:
        for path, body, status in (
            ("/generate", {"prompt": "x", "username": "admin"}, 401),
            ("/history", {"username": "admin"}, 403),
            ("/fetch", {"username": "admin", "chat_id": 1}, 403),
        ):
            assert (await http.post(path, json=body)).status_code == status


async def test_a_repetition_is_the_same_answer_in_the_same_chat(mesh: Mesh) -> None:
    async with await mesh.client("numbered-again") as http:
        body = {"prompt": "once", "model": ECHO, "username": "x"}
        headers = {"Idempotency-Key": "numbered-1"}
        told = [await http.post("/generate", json=body, headers=headers) for _ in range(2)]
        assert events(told[0]) == events(told[1])
        assert len(ok(await http.post("/history", json={}))) == 1


async def test_hanging_up_stops_the_answer_and_keeps_what_there_was(mesh: Mesh) -> None:
    async with await mesh.client("numbered-hang-up") as http:
        body = {"prompt": "/repeat a", "model": SLOW, "chat_id": 1}
        async with http.stream("POST", "/generate", json=body) as response:
            lines = response.aiter_lines()
            while not (await anext(lines)).startswith("data: "):
                pass
        async with asyncio.timeout(60):
            while len(found := await fetched(http, 1)) < 2:
                await asyncio.sleep(0.05)
        assert found[1][1].startswith("a ")
        await say(http, "and now", 1)
        assert [text for _, text in await fetched(http, 1)][-2:] == ["and now", "and now"]


async def test_a_key_for_asking_alone_opens_no_chats(mesh: Mesh) -> None:
    async with await mesh.client("numbered-key") as http:
        made = ok(await http.post("/account/keys", json={"name": "k", "scopes": ["ask"]}))
    async with mesh.anonymous(headers={"Authorization": f"Bearer {made['secret']}"}) as http:
        assert (await say(http, "outside"))[-1]["done"] is True
        response = await http.post("/generate", json={"prompt": "x", "model": ECHO, "chat_id": 1})
        assert response.status_code == 403
        assert (await http.post("/history", json={})).status_code == 403
