"""A person's message with an idempotency key: said once, however often it is sent."""

import asyncio
from typing import Any

import httpx

from tests.chatting import answer, ask, messages, new_chat, ok, refusal
from tests.whole_mesh import ECHO, Mesh

KEY = {"Idempotency-Key": "said"}


async def say(
    http: httpx.AsyncClient, chat: str, content: str, parent: str | None = None
) -> httpx.Response:
    body = {"content": content, "parent_id": parent}
    return await http.post(f"/chats/{chat}/prompter_message", json=body, headers=KEY)


async def test_the_same_message_under_a_key_is_said_once(mesh: Mesh) -> None:
    async with await mesh.client("says once") as http:
        chat = await new_chat(http)
        same = await asyncio.gather(*(say(http, chat, "hello") for _ in range(4)))
        first: dict[str, Any] = ok(same[0])
        assert [ok(each) for each in same] == [first] * 4
        assert await messages(http, chat) == [first]
        await answer(http, chat, "other", beside=first["id"])
        assert ok(await say(http, chat, "hello")) == first, "though the chat goes on"


async def test_another_message_under_the_key_is_refused(mesh: Mesh) -> None:
    async with await mesh.client("says another") as http:
        chat = await new_chat(http)
        first = await answer(http, chat, "hello")
        said = ok(await say(http, chat, "and?", first["id"]))
        assert "use a new key" in refusal(
            await say(http, chat, "but?", first["id"]), 422, "conflict"
        )
        refusal(await say(http, chat, "and?"), 422, "conflict")
        refusal(await say(http, await new_chat(http), "and?"), 422, "conflict")
        assert ok(await say(http, chat, "and?", first["id"])) == said
        assert len(await messages(http, chat)) == 3


async def test_its_answer_may_have_the_same_key(mesh: Mesh) -> None:
    async with await mesh.client("says and asks") as http:
        chat = await new_chat(http)
        said = ok(await say(http, chat, "hello"))
        body = {"parent_id": said["id"], "model_config_name": ECHO}
        url = f"/chats/{chat}/assistant_message"
        begun = [ok(await http.post(url, json=body, headers=KEY)) for _ in range(2)]
        assert begun[0]["id"] == begun[1]["id"] != said["id"]
        assert ok(await say(http, chat, "hello")) == said
        assert len(await messages(http, chat)) == 2


async def test_its_drafts_may_have_the_same_key(mesh: Mesh) -> None:
    async with await mesh.client("says and drafts") as http:
        chat = await new_chat(http)
        said = ok(await say(http, chat, "hello"))
        body = {"parent_id": said["id"], "model_config_name": ECHO, "n": 2}
        begun = [
            ok(await http.post(f"/chats/{chat}/drafts", json=body, headers=KEY)) for _ in range(2)
        ]
        assert len({each["id"] for each in begun[0]["drafts"] + begun[1]["drafts"]}) == 2
        assert ok(await say(http, chat, "hello")) == said
        assert len(await messages(http, chat)) == 3


async def test_one_users_key_says_nothing_of_anothers(mesh: Mesh) -> None:
    async with await mesh.client("says one") as one, await mesh.client("says two") as two:
        said = [ok(await say(http, await new_chat(http), "hello")) for http in (one, two)]
        assert said[0]["id"] != said[1]["id"]
        chat = await new_chat(one)
        asked = await ask(one, chat, "hello", key="said")
        assert asked["prompter_message"]["id"] != said[0]["id"], "which has keys of its own"
