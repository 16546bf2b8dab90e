"""Several answers at once, and which of them is best, over HTTP (A11)."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from tests.chatting import ask, events, get_message, messages, new_chat, ok, refusal
from tests.integration.test_asked_anew import busy
from tests.whole_mesh import ECHO, SLOW, Mesh


async def question(http: httpx.AsyncClient, chat: str, content: str = "hello there") -> str:
    """The id of a message that nobody has answered yet."""
    said = ok(await http.post(f"/chats/{chat}/prompter_message", json={"content": content}))
    found: str = said["id"]
    return found


async def drafts(
    http: httpx.AsyncClient, chat: str, parent: str, n: int, key: str = "", model: str = ECHO
) -> list[dict[str, Any]]:
    body = {"parent_id": parent, "n": n, "model_config_name": model}
    headers = {"Idempotency-Key": key} if key else {}
    response = await http.post(f"/chats/{chat}/drafts", json=body, headers=headers)
    found: list[dict[str, Any]] = ok(response)["drafts"]
    return found


async def test_drafts_are_siblings_each_with_a_seed_of_its_own(mesh: Mesh) -> None:
    async with await mesh.client("drafts") as http:
        chat = await new_chat(http)
        parent = await question(http, chat, "one two three")
        begun = await drafts(http, chat, parent, 3)
        assert [draft["parent_id"] for draft in begun] == [parent] * 3
        seeds = {draft["work_parameters"]["seed"] for draft in begun}
        assert len({draft["id"] for draft in begun}) == len(seeds) == 3
        await asyncio.gather(*(events(http, chat, draft["id"]) for draft in begun))  # to their ends
        found = [await get_message(http, chat, draft["id"]) for draft in begun]
        assert {draft["state"] for draft in found} == {"complete"}
        assert [draft["content"] for draft in found] == ["one two three"] * 3


async def test_the_draft_that_is_picked_is_better_than_the_others(mesh: Mesh) -> None:
    async with await mesh.client("picks") as http:
        chat = await new_chat(http)
        best, *others = [
            draft["id"] for draft in await drafts(http, chat, await question(http, chat), 3)
        ]
        picked = f"/chats/{chat}/messages/{best}/message_evals"
        ok(await http.post(picked, json={"inferior_message_ids": others}))
        shown = {message["id"]: message for message in await messages(http, chat)}
        assert set(shown[best]["inferior_message_ids"]) == set(others)
        assert [shown[other]["inferior_message_ids"] for other in others] == [[], []]
        for wrong in ([best], ["nobody"]):
            response = await http.post(picked, json={"inferior_message_ids": wrong})
            assert refusal(response, 400, "bad_request")
        async with await mesh.client("somebody else who picks") as other_user:
            response = await other_user.post(picked, json={"inferior_message_ids": others})
            refusal(response, 404, "not_found")


async def test_drafts_are_begun_once_for_each_key(mesh: Mesh) -> None:
    async with await mesh.client("drafts again") as http:
        chat = await new_chat(http)
        parent = await question(http, chat)
        first = await drafts(http, chat, parent, 2, key="k1")
        again = await drafts(http, chat, parent, 2, key="k1")
        assert [draft["id"] for draft in first] == [draft["id"] for draft in again]
        body = {"parent_id": parent, "n": 2, "model_config_name": SLOW}
        headers = {"Idempotency-Key": "k1"}
        refusal(
            await http.post(f"/chats/{chat}/drafts", json=body, headers=headers), 422, "conflict"
        )
        assert len(await messages(http, chat)) == 3


async def test_what_cannot_be_drafted_is_refused(mesh: Mesh) -> None:
    async with await mesh.client("no drafts") as http:
        chat = await new_chat(http)
        asked = await ask(http, chat, "hello")
        path, answer = f"/chats/{chat}/drafts", asked["assistant_message"]["id"]
        parent = asked["prompter_message"]["id"]
        for body, status, code in (
            ({"parent_id": parent, "n": 0}, 400, "bad_request"),
            ({"parent_id": parent, "n": 9}, 400, "bad_request"),
            ({"n": 2}, 400, "bad_request"),
            ({"parent_id": answer, "n": 2}, 400, "bad_request"),
            ({"parent_id": "nobody", "n": 2}, 404, "not_found"),
            ({"parent_id": parent, "model_config_name": "none"}, 422, "model_not_found"),
            ({"parent_id": parent, "plugins": [{"url": "x"}]}, 400, "unsupported"),
        ):
            refusal(await http.post(path, json=body), status, code)


async def test_all_drafts_are_begun_or_none(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(req_max_per_tenant=2)
    mesh.start("store", "gateway", ECHO, SLOW)
    async with await mesh.client("crowded") as http:
        chat = await new_chat(http)
        parent = await question(http, chat)
        body = {"parent_id": parent, "n": 2, "model_config_name": SLOW}
        async with busy(mesh, http, SLOW, 1):
            response = await http.post(f"/chats/{chat}/drafts", json=body)
            refusal(response, 429, "share_full")
        response = await http.post(f"/chats/{chat}/drafts", json=body | {"n": 3})
        assert "3 can never be" in refusal(response, 400, "bad_request")
        assert response.json()["param"] == "n"
        assert [message["id"] for message in await messages(http, chat)] == [parent]
        assert len(await drafts(http, chat, parent, 2)) == 2
