"""`POST /chats/{chat_id}/title` under a key: the model is asked once, a rename is not undone."""

import asyncio

import httpx
import pytest

from mesh.gateway import titles
from tests.chatting import answer, new_chat, ok, refusal
from tests.whole_mesh import Mesh

KEY = {"Idempotency-Key": "named-once"}
FOUND = "About puffins in burrows"


async def asked(http: httpx.AsyncClient, count: int) -> None:
    """Wait until so many requests of this user are counted; fail if there are more."""
    async with asyncio.timeout(60):
        while True:
            used = ok(await http.get("/account/usage"))["usage"]
            if (found := sum(row["requests"] for row in used)) >= count:
                break
            await asyncio.sleep(0.05)
    assert found == count


async def test_a_title_under_a_key_is_found_once(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(titles, "TASK", "About {question}")  # the echo says it again
    async with await mesh.client("namer") as http:
        chat, other = await new_chat(http), await new_chat(http)
        for each in (chat, other):
            await answer(http, each, "puffins in burrows")
        path = f"/chats/{chat}/title"
        for _ in range(2):
            named = ok(await http.post(path, headers=KEY))
            assert named == {"title": FOUND, "generated": True}
        await asked(http, 3)
        ok(await http.put(f"/chats/{chat}", json={"title": "Mine"}))
        assert ok(await http.post(path, headers=KEY)) == {"title": "Mine", "generated": False}
        refusal(await http.post(f"/chats/{other}/title", headers=KEY), 422, "conflict")
        await asked(http, 3)
        assert ok(await http.post(path)) == {"title": FOUND, "generated": True}
        await asked(http, 4)
