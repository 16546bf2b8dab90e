"""`POST /api/messages/process`: its events, its refusals, its threads."""

import json
from typing import Any

import httpx
import pytest

from tests.calling import CALL, WEATHER, settled
from tests.whole_mesh import ECHO, FAILING, Mesh


async def process(http: httpx.AsyncClient, text: str = "one two", **more: Any) -> httpx.Response:
    body = {"messages": [{"content": text}], "model": ECHO} | more
    return await http.post("/api/messages/process", json=body)


def events(response: httpx.Response) -> list[str]:
    lines = response.text.splitlines()
    return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]


async def test_the_run_comes_first_then_chunks_and_done(mesh: Mesh) -> None:
    async with await mesh.client("process-events") as http:
        response = await process(http)
        first, *chunks, done = events(response)
        assert response.headers["content-type"].startswith("text/event-stream")
        run_id = json.loads(first)["run_id"]
        assert [json.loads(chunk) for chunk in chunks] == [{"chunk": "one "}, {"chunk": "two"}]
        assert done == "[DONE]"
        run = (await http.get(f"/v1/runs/{run_id}", params={"wait": 10})).json()
    assert (run["status"], run["content"]) == ("completed", "one two")


async def test_what_goes_wrong_ends_in_error_and_not_in_done(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        *_, last = events(await process(http, "/repeat a", model=FAILING))
    assert last == "[ERROR]"


@pytest.mark.parametrize("key", ["threadId", "thread_id"])
async def test_a_thread_is_remembered_and_nobody_else_s(mesh: Mesh, key: str) -> None:
    async with await mesh.client(f"process-{key}") as http:
        counts = []
        for _ in range(3):
            first, *_ = events(await process(http, **{key: "t1"}))
            url = f"/v1/runs/{json.loads(first)['run_id']}"
            run = (await http.get(url, params={"wait": 10})).json()
            counts.append(run["usage"]["prompt_tokens"])
        assert counts[0] < counts[1] < counts[2]
    async with await mesh.client(f"process-other-{key}") as http:
        first, *_ = events(await process(http, **{key: "t1"}))
        url = f"/v1/runs/{json.loads(first)['run_id']}"
        run = (await http.get(url, params={"wait": 10})).json()
        assert run["usage"]["prompt_tokens"] == counts[0]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "Invalid or missing 'messages' in request"),
        ({"messages": []}, "Invalid or missing 'messages' in request"),
        ({"messages": [{}]}, "Message content is missing"),
        ({"messages": [{"content": ""}]}, "Message content is missing"),
        (
            {"messages": [{"content": "a"}], "inferenceType": "magic"},
            "Unsupported inference type: magic",
        ),
        (
            {"messages": [{"content": "a"}], "inference_type": "magic"},
            "Unsupported inference type: magic",
        ),
        (
            {"messages": [{"content": "a"}], "threadId": "a", "thread_id": "b"},
            "threadId and thread_id are the same and say different things; give one",
        ),
        (
            {"messages": [{"content": "a"}], "inferenceType": "local", "inference_type": "cloud"},
            "inferenceType and inference_type are the same and say different things; give one",
        ),
    ],
)
async def test_what_is_missing_or_unknown_is_a_400(
    mesh: Mesh, body: dict[str, Any], error: str
) -> None:
    async with mesh.anonymous() as http:
        response = await http.post("/api/messages/process", json=body)
    assert (response.status_code, response.json()) == (400, {"error": error})


async def test_a_local_model_is_none_of_the_cloud(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        named = await process(http, inferenceType="cloud")
        unnamed = await process(http, inferenceType="cloud", model=None)
        unknown = await process(http, model="llama3.1")
        forged = await http.post("/api/messages/process", headers={"Authorization": "Bearer x"})
        local = await process(http, inferenceType="LOCAL", model=None)
    assert [r.status_code for r in (named, unnamed, unknown, forged)] == [400, 503, 404, 401]
    assert unnamed.headers["Retry-After"] == "10", "MESH_WORKER_WAIT, as it is usually"
    for response in (named, unnamed, unknown, forged):
        assert list(response.json()) == ["error"]
    assert events(local)[-1] in ("[DONE]", "[ERROR]"), "one of the models that are there"


async def test_a_message_under_a_key_is_answered_once(mesh: Mesh) -> None:
    key = {"Idempotency-Key": "processed-once"}
    async with await mesh.client("process-once") as http:
        thread = (await http.post("/v1/threads", json={})).raise_for_status().json()["id"]
        body = {"messages": [{"content": "one two"}], "model": ECHO, "threadId": thread}
        url = "/api/messages/process"
        first, again = [await http.post(url, json=body, headers=key) for _ in range(2)]
        assert events(first)[-1] == "[DONE]"
        assert again.text == first.text, "of the same run"
        said = (await http.get(f"/v1/threads/{thread}/messages")).json()["data"]
        assert [each["content"] for each in said] == ["one two", "one two"]
        other = body | {"messages": [{"content": "three"}]}
        refused = await http.post(url, json=other, headers=key)
        assert refused.status_code == 422
        assert "another body" in refused.json()["error"]
        unkeyed = await http.post(url, json=body)
        assert events(unkeyed)[0] != events(first)[0]


async def told_with_tools(http: httpx.AsyncClient, **more: Any) -> list[str]:
    """What is told of a message that makes the model call, and be told what came of it."""
    body = {"messages": [{"content": CALL}], "tools": [WEATHER]} | more
    told = []
    async with http.stream("POST", "/api/messages/process", json=body) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            if not line.startswith("data: "):
                continue
            told.append(line.removeprefix("data: "))
            if len(told) == 1:
                await outcome(http, json.loads(told[0])["run_id"], "It rains.")
    return told


async def outcome(http: httpx.AsyncClient, run_id: str, output: str) -> None:
    """Say what came of the one call that a run waits for."""
    run = await settled(http, run_id)
    (call,) = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    outputs = [{"tool_call_id": call["id"], "output": output}]
    url = f"/v1/runs/{run_id}/submit_tool_outputs"
    response = await http.post(url, json={"tool_outputs": outputs})
    assert response.status_code == 200, response.text


async def test_a_model_that_is_given_functions_calls_them_and_goes_on(mesh: Mesh) -> None:
    async with await mesh.client("process-tools") as http:
        first, *chunks, done = await told_with_tools(http, model=ECHO)
        assert "".join(json.loads(chunk)["chunk"] for chunk in chunks) == "It rains."
        assert done == "[DONE]"
        url = f"/v1/runs/{json.loads(first)['run_id']}"
        run = (await http.get(url)).json()
    assert (run["status"], run["content"]) == ("completed", "It rains.")


async def test_functions_that_cannot_be_are_refused(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        refused = await process(http, tools=[{"type": "web_search"}])
        assert refused.status_code == 400 and "web_search" in refused.json()["error"]


async def test_keys_that_are_not_known_and_both_spellings_that_agree_change_nothing(
    mesh: Mesh,
) -> None:
    async with await mesh.client("process-unknown") as http:
        response = await process(http, threadId="t", thread_id="t", userId="a", colour="red")
        assert events(response)[-1] == "[DONE]"


async def test_what_breaks_within_is_said_in_one_sentence_and_no_other(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("mesh.gateway.runs.process.new_run", breaks)
    async with await mesh.client("process-breaks") as http:
        response = await process(http)
    assert response.status_code == 500
    assert response.json() == {"error": "An error occurred while processing the message"}
