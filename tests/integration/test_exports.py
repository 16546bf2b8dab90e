"""`GET /admin/export` (A31), and what else of one's own is in `GET /account/export`."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any

import httpx

from tests.chatting import answer, new_chat, ok, refusal
from tests.integration.test_accounts import PASSWORD, add, make_key, signed_in
from tests.whole_mesh import ECHO, Mesh


@asynccontextmanager
async def operator(mesh: Mesh) -> AsyncIterator[httpx.AsyncClient]:
    name, _ = await add(mesh, "operator")
    async with signed_in(mesh, name, PASSWORD) as http:
        yield http


async def exported(http: httpx.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    response = await http.get("/admin/export", params=filters)
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


async def test_an_operator_exports_chats_by_filters(mesh: Mesh) -> None:
    name = f"exported-{token_hex(4)}"
    async with await mesh.client(name) as http, operator(mesh) as op:
        chats = [await new_chat(http) for _ in range(3)]
        answers = [await answer(http, chat, f"said in {chat}") for chat in chats]
        about = f"/chats/{chats[0]}/messages/{answers[0]['id']}"
        ok(await http.post(f"{about}/votes", json={"score": 1}))
        ok(await http.put(f"/chats/{chats[2]}", json={"allow_data_use": False}))

        lines = await exported(op, user=name)
        assert [line["chat"]["id"] for line in lines] == chats[:2], "not the one that is closed"
        assert [each["content"] for each in lines[0]["messages"]] == [f"said in {chats[0]}"] * 2
        scored = await exported(op, user=name, scored=True)
        assert [line["chat"]["id"] for line in scored] == [chats[0]]
        assert await exported(op, user=name, reported=True) == []
        assert await exported(op, user=name, until="2020-01-01") == []
        assert len(await exported(op, user=name, since="2020-01-01T00:00:00+01:00")) == 2
        assert len(await exported(op, chat=chats[1])) == 1

        (nameless,) = await exported(op, chat=chats[1], anonymize=True, seed="s")
        assert chats[1] not in json.dumps(nameless).replace(f"said in {chats[1]}", "")
        assert nameless == (await exported(op, chat=chats[1], anonymize=True, seed="s"))[0]

        packed = await op.get("/admin/export", params={"user": name, "gzip": True})
        assert packed.headers["content-type"] == "application/gzip"
        assert len(gzip.decompress(packed.content).splitlines()) == 2


async def test_wrong_filters_are_refused_before_the_first_line(mesh: Mesh) -> None:
    async with operator(mesh) as op:
        for wrong, status, code in (
            ({"since": "yesterday"}, 400, "bad_request"),
            ({"from_date": "2026-11-21"}, 400, "bad_request"),
            ({"scored": "perhaps"}, 400, "bad_request"),
            ({"user": "nobody-at-all"}, 404, "not_found"),
        ):
            refusal(await op.get("/admin/export", params=wrong), status, code)


async def test_nobody_else_exports_the_chats_of_all(mesh: Mesh) -> None:
    async with await mesh.client("curious") as http:
        refusal(await http.get("/admin/export"), 403, "forbidden")
    async with operator(mesh) as op:
        _, usual = await make_key(op)
        async with mesh.anonymous(headers={"Authorization": f"Bearer {usual}"}) as http:
            refusal(await http.get("/admin/export"), 403, "forbidden")


async def test_ones_own_data_has_runs_that_call_tools_clients_and_what_was_used(mesh: Mesh) -> None:
    async with await mesh.client("takes everything along") as http:
        process = {"messages": [{"content": "in a thread"}], "threadId": "t1", "model": ECHO}
        assert "[DONE]" in (await http.post("/api/messages/process", json=process)).text
        question = {"question": "asked", "client_id": "c1", "user_id": "u1", "stream": False}
        ok(await http.post("/v1/ask", json=question | {"model": ECHO}))
        async with asyncio.timeout(60):
            while True:
                lines = (await http.get("/account/export")).text.splitlines()
                found = {line["kind"]: line for line in map(json.loads, lines)}
                if (
                    found.keys() >= {"tool_run", "client", "usage"}
                    and found["client"]["client"]["completion_tokens"]
                    and found["usage"]["usage"]["requests"] == 2
                ):
                    break
                await asyncio.sleep(0.05)
        run, client = found["tool_run"]["tool_run"], found["client"]["client"]
        assert (run["thread"], run["question"], run["text"]) == ("t1", "in a thread", "in a thread")
        assert (client["client"], client["user"], client["requests"]) == ("c1", "u1", 1)
        assert found["usage"]["usage"]["model"] == ECHO
        assert found["end"]["lines"] == len(lines) - 1


async def test_the_words_of_a_response_that_is_not_stored_are_in_no_export(mesh: Mesh) -> None:
    async with await mesh.client("whispers") as http:
        for said, store in (("whispered", False), ("spoken", True)):
            body = {"model": ECHO, "input": said, "store": store}
            assert said in (await http.post("/v1/responses", json=body)).text
        async with asyncio.timeout(60):
            while "spoken" not in (found := (await http.get("/account/export")).text):
                await asyncio.sleep(0.05)
        runs = [line["run"] for line in map(json.loads, found.splitlines()) if "run" in line]
        assert sorted(run.get("text", "") for run in runs) == ["", "spoken"]
        assert {run["state"] for run in runs} == {"done"}
        assert "whispered" not in found
