"""A client that posts whole objects: what it writes into them is taken, or refused by name.

It makes a user, an assistant and a thread, writes there, begins a run that is filled in, does the
action it waits for, and says on its way how everything stands.
"""

import asyncio
import time
from typing import Any

import httpx
import pytest

from tests.calling import CALL, WEATHER, settled
from tests.whole_mesh import ECHO, Mesh


def message(thread: str, assistant: str, content: str, **more: Any) -> dict[str, Any]:
    """A message with each field that such a client knows."""
    return {
        "content": content,
        "thread_id": thread,
        "sender_id": None,
        "assistant_id": assistant,
        "role": "user",
        "tool_id": None,
        "meta_data": {},
        "is_last_chunk": False,
    } | more


def run(thread: str, assistant: str, **more: Any) -> dict[str, Any]:
    """A run as such a client fills it in."""
    now = int(time.time())
    return {
        "id": "run_of_its_own",
        "assistant_id": assistant,
        "cancelled_at": None,
        "completed_at": None,
        "created_at": now,
        "expires_at": now + 3600,
        "failed_at": None,
        "incomplete_details": None,
        "instructions": "",
        "last_error": None,
        "max_completion_tokens": 1000,
        "max_prompt_tokens": 500,
        "meta_data": {},
        "model": "llama3.1",
        "object": "run",
        "parallel_tool_calls": False,
        "required_action": None,
        "response_format": "text",
        "started_at": None,
        "status": "pending",
        "thread_id": thread,
        "tool_choice": "none",
        "tools": [],
        "truncation_strategy": {},
        "usage": None,
        "temperature": 0.7,
        "top_p": 0.9,
        "tool_resources": {},
    } | more


async def ok(answer: Any) -> Any:
    response: httpx.Response = await answer
    assert response.is_success, response.text
    return response.json()


async def made(http: httpx.AsyncClient, *tools: Any) -> tuple[str, str]:
    """An assistant, and a thread."""
    body = {
        "name": "",
        "description": "",
        "model": ECHO,
        "instructions": "Be short.",
        "tools": list(tools) or None,
        "meta_data": None,
        "top_p": 1.0,
        "temperature": 1.0,
        "response_format": "auto",
    }
    assistant = await ok(http.post("/v1/assistants", json=body | {"id": None}))
    thread = await ok(http.post("/v1/threads", json={"participant_ids": [], "meta_data": {}}))
    return assistant["id"], thread["id"]


async def test_whole_objects_are_taken_from_a_user_to_an_outcome(mesh: Mesh) -> None:
    async with await mesh.admin() as http:
        user = await ok(http.post("/v1/users", json={"name": "Of whole objects"}))
        me = (await http.get("/auth/check")).json()
        assistant, _ = await made(http, WEATHER)
        begun = {"participant_ids": [me, user["id"]], "meta_data": {"topic": "weather"}}
        thread = (await ok(http.post("/v1/threads", json=begun)))["id"]
        asked = message(thread, assistant, CALL, sender_id=me)
        assert (await ok(http.post("/v1/messages", json=asked)))["sender_id"] == me

        made_run = await ok(http.post("/v1/runs", json=run(thread, assistant)))
        waits = await settled(http, made_run["id"])
        assert (waits["status"], waits["model"]) == ("requires_action", ECHO)
        assert waits["expires_at"] <= time.time() + 3600
        status = f"/v1/runs/{waits['id']}/status"
        said = await ok(http.put(status, json={"status": "action_required"}))
        assert said["status"] == "requires_action"

        (action,) = await ok(http.get(f"/v1/actions/pending/{waits['id']}"))
        url = f"/v1/actions/{action['action_id']}"
        for word in ("pending", "processing", "retrying"):
            assert (await ok(http.put(url, json={"status": word})))["status"] == "pending"
        assert (await http.put(url, json={"status": "expired"})).status_code == 422
        wrong = await http.put(url, json={"status": "completed", "output": "rain"})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "output")
        done = {"status": "completed", "result": {"weather": "rain"}}
        acted = await ok(http.put(url, json=done))
        assert (acted["status"], acted["result"]) == ("completed", '{"weather":"rain"}')
        assert (await ok(http.put(url, json={"status": "completed"}))) == acted
        assert (await http.put(url, json={"status": "processing"})).status_code == 422
        for word in ("in_progress", "processing"):
            await ok(http.put(status, json={"status": word}))
        over = await settled(http, waits["id"])
        assert (over["status"], over["content"]) == ("completed", '{"weather":"rain"}')
        assert (await ok(http.put(status, json={"status": "in_progress"}))) == over
        assert (await http.put(status, json={"status": "failed"})).status_code == 422

        call = over["actions"][0]["tool_call_id"]
        outcome = message(thread, assistant, "rain", role="tool", tool_id=call)
        kept = await ok(http.post("/v1/messages/tools", json=outcome))
        assert (kept["role"], kept["tool_call_id"]) == ("tool", call)
        whole = message(
            thread,
            assistant,
            "It rains.",
            sender_id=assistant,
            is_last_chunk=True,
            role="assistant",
        )
        kept = await ok(http.post("/v1/messages/assistant", json=whole))
        assert (kept["role"], kept["assistant_id"]) == ("assistant", assistant)

        await ok(http.post("/v1/messages", json=message(thread, assistant, "Thank you.")))
        again = await ok(http.post("/v1/runs", json=run(thread, assistant)))
        assert (await settled(http, again["id"]))["content"] == "Thank you."


async def test_a_piece_of_a_message_is_not_kept(mesh: Mesh) -> None:
    async with await mesh.client("filled-in-pieces") as http:
        assistant, thread = await made(http)
        piece = message(thread, assistant, "It ra", role="assistant")
        refused = await http.post("/v1/messages/assistant", json=piece)
        error = refused.json()["error"]
        assert (refused.status_code, error["param"]) == (501, "is_last_chunk")
        assert (await ok(http.get(f"/v1/threads/{thread}/messages")))["data"] == []


async def test_nobody_writes_in_anothers_name(mesh: Mesh) -> None:
    async with (
        await mesh.client("filled-in-name") as http,
        await mesh.client("filled-in-other") as other,
    ):
        assistant, thread = await made(http)
        theirs, _ = await made(other)
        somebody = (await other.get("/auth/check")).json()
        for sender in (somebody, theirs, "nobody"):
            body = message(thread, assistant, "x", sender_id=sender)
            refused = await http.post("/v1/messages", json=body)
            assert (refused.status_code, refused.json()["error"]["param"]) == (403, "sender_id")
        body = message(thread, theirs, "x", sender_id=theirs)
        assert (await http.post("/v1/messages", json=body)).status_code == 404
        took = await ok(http.put(f"/v1/threads/{thread}", json={"participant_ids": [somebody]}))
        assert somebody in took["participant_ids"]
        said = message(thread, theirs, "x", is_last_chunk=True)
        assert (await other.post("/v1/messages/assistant", json=said)).status_code == 403
        both = message(thread, assistant, "x", role="tool", tool_id="a", tool_call_id="b")
        assert (await http.post("/v1/messages/tools", json=both)).status_code == 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "completed"),
        ("completed_at", 1),
        ("last_error", "x"),
        ("expires_at", 1),
        ("max_prompt_tokens", 0),
        ("meta_data", {"a": "b"}),
        ("tool_resources", {"a": {}}),
        ("truncation_strategy", {"type": "last_messages"}),
        ("object", "thread"),
        ("colour", "red"),
    ],
)
async def test_what_a_run_cannot_be_said_to_be_is_refused_by_name(
    mesh: Mesh, field: str, value: Any
) -> None:
    async with await mesh.client("filled-in-refused") as http:
        assistant, thread = await made(http)
        await ok(http.post("/v1/messages", json=message(thread, assistant, "hello")))
        response = await http.post("/v1/runs", json=run(thread, assistant, **{field: value}))
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == field


async def test_a_run_is_over_by_the_time_that_it_names(mesh: Mesh) -> None:
    async with await mesh.client("filled-in-expires") as http:
        assistant, thread = await made(http, WEATHER)
        await ok(http.post("/v1/messages", json=message(thread, assistant, CALL)))
        soon = time.time() + 3
        body, key = run(thread, assistant, expires_at=soon), {"Idempotency-Key": "once"}
        begun = await ok(http.post("/v1/runs", json=body, headers=key))
        assert begun["expires_at"] == int(soon)
        assert (await settled(http, begun["id"]))["status"] in ("requires_action", "expired")
        while (over := await settled(http, begun["id"]))["status"] == "requires_action":
            assert time.time() < soon + 20
            await asyncio.sleep(0.1)
        assert over["status"] == "expired"
        again = await ok(http.post("/v1/runs", json=body, headers=key))
        assert (again["id"], again["status"]) == (begun["id"], "expired")
        refused = await http.post("/v1/runs", json=body)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "expires_at")
