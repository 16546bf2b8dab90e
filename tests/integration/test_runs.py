"""Runs that call tools, over HTTP: they wait for outcomes, go on with them, and end in time."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mesh.gateway.requests import Requests
from mesh.gateway.runs import conductor
from mesh.gateway.runs.conductor import Conductor
from mesh.protocol.events import Cancelled
from mesh.protocol.tool_story import ToolStory
from tests.calling import CALL, CLOCK, WEATHER, settled
from tests.truth import read_truth
from tests.whole_mesh import ECHO, FAILING, SLOW, Mesh


async def begin(http: httpx.AsyncClient, text: str = CALL, **more: Any) -> dict[str, Any]:
    """A run, once it waits or is over."""
    headers = more.pop("headers", {})
    body = {
        "model": ECHO,
        "messages": [{"role": "user", "content": text}],
        "tools": [WEATHER, CLOCK],
    } | more
    response = await http.post("/v1/runs", json=body, headers=headers)
    assert response.status_code == 200, response.text
    return await settled(http, response.json()["id"])


async def submit(
    http: httpx.AsyncClient, run: dict[str, Any], *outputs: tuple[int, str]
) -> httpx.Response:
    """outputs: of which call, and what came of it."""
    body = [
        {"tool_call_id": run["actions"][at]["tool_call_id"], "output": output}
        for at, output in outputs
    ]
    url = f"/v1/runs/{run['id']}/submit_tool_outputs"
    return await http.post(url, json={"tool_outputs": body})


async def test_a_run_without_calls_is_complete(mesh: Mesh) -> None:
    async with await mesh.client("runs-plain") as http:
        run = await begin(http, "hello there")
    assert (run["status"], run["content"], run["finish_reason"]) == (
        "completed",
        "hello there",
        "stop",
    )
    assert run["id"].startswith("run_")
    assert run["required_action"] is None
    assert run["usage"]["total_tokens"] > 0


async def test_a_run_whose_answer_was_cut_off_is_incomplete_and_says_why(mesh: Mesh) -> None:
    async with await mesh.client("runs-cut") as http:
        text = await begin(http, "one two three four", tools=[], max_tokens=2)
        call = await begin(http, tool_choice="required", max_tokens=3)
        whole = await begin(http, "one two")
    for run in (text, call):
        assert (run["status"], run["finish_reason"]) == ("incomplete", "length")
        assert run["incomplete_details"] == {"reason": "max_completion_tokens"}
        assert (run["actions"], run["last_error"]) == ([], None)
    assert text["content"].strip() == "one two"
    assert (whole["status"], whole["incomplete_details"]) == ("completed", None)


@pytest.mark.parametrize("stop", ["</tool_call>", "}", "Oslo", '"city"'])
async def test_a_call_that_a_stop_string_cuts_off_is_not_made(mesh: Mesh, stop: str) -> None:
    async with await mesh.client("runs-stopped") as http:
        run = await begin(http, tool_choice="required", stop=[stop])
        again = await http.get(f"/v1/runs/{run['id']}")
    assert (run["status"], run["finish_reason"], run["actions"]) == ("completed", "stop", [])
    assert (again.status_code, again.json()) == (200, run)


async def test_a_run_waits_for_what_comes_of_a_call_and_goes_on_with_it(mesh: Mesh) -> None:
    async with await mesh.client("runs-one") as http:
        run = await begin(http)
        assert run["status"] == "requires_action"
        assert run["content"] is None
        (call,) = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        function = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
        assert (call["type"], call["function"]) == ("function", function)
        assert (await submit(http, run, (0, "It rains."))).status_code == 200
        over = await settled(http, run["id"])
    assert (over["status"], over["content"]) == ("completed", "It rains.")
    (action,) = over["actions"]
    assert type(action["expires_at"]) is int
    assert (action["status"], action["result"]) == ("completed", "It rains.")
    assert over["usage"]["prompt_tokens"] > run["usage"]["prompt_tokens"]


async def test_a_run_goes_on_once_every_call_has_an_outcome(mesh: Mesh) -> None:
    async with await mesh.client("runs-two") as http:
        run = await begin(http, f"{CALL}\n/call clock {{}}")
        assert [action["tool_name"] for action in run["actions"]] == ["get_weather", "clock"]
        half = (await submit(http, run, (1, "noon"))).json()
        assert half["status"] == "requires_action"
        assert [action["status"] for action in half["actions"]] == ["pending", "completed"]
        await submit(http, run, (0, "rain"))
        over = await settled(http, run["id"])
    assert over["status"] == "completed"
    assert over["content"] == "noon", "the echo says the last outcome"


async def test_actions_are_listed_looked_at_and_done_one_by_one(mesh: Mesh) -> None:
    async with await mesh.client("runs-actions") as http:
        run = await begin(http, f"{CALL}\n/call clock {{}}")
        waiting = (await http.get(f"/v1/actions/pending/{run['id']}")).json()
        assert waiting[0] == {
            "action_id": run["actions"][0]["id"],
            "action_status": "pending",
            "function_arguments": {"city": "Oslo"},
            "tool_name": "get_weather",
            "run_id": run["id"],
            "run_status": "requires_action",
        }
        url = f"/v1/actions/{waiting[0]['action_id']}"
        failed = await http.put(url, json={"status": "failed", "result": "ERROR: no radar"})
        assert (failed.status_code, failed.json()["status"]) == (200, "failed")
        listed = f"/v1/runs/{run['id']}/actions/status"
        assert len((await http.get(listed)).json()) == 2
        (left,) = (await http.get(listed, params={"status": "pending"})).json()
        assert left["tool_name"] == "clock"
        done = {"status": "completed", "result": "noon"}
        await http.put(f"/v1/actions/{left['id']}", json=done)
        assert (await settled(http, run["id"]))["status"] == "completed"
        assert (await http.get(f"/v1/actions/{left['id']}")).json()["result"] == "noon"


async def test_the_same_outcome_again_is_fine_and_another_is_a_conflict(mesh: Mesh) -> None:
    async with await mesh.client("runs-again") as http:
        run = await begin(http, f"{CALL}\n/call clock {{}}")
        for _ in range(2):
            assert (await submit(http, run, (0, "rain"))).status_code == 200
        other = await submit(http, run, (0, "sun"))
        assert other.status_code == 422
        assert "another outcome" in other.json()["error"]["message"]


async def test_a_call_that_nobody_made_is_named(mesh: Mesh) -> None:
    async with await mesh.client("runs-unknown") as http:
        run = await begin(http)
        said = {"tool_outputs": [{"tool_call_id": "call_x", "output": "rain"}]}
        refused = await http.post(f"/v1/runs/{run['id']}/submit_tool_outputs", json=said)
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "tool_outputs"


async def test_a_run_that_waits_in_vain_expires(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(action_timeout=1.0)
    mesh.start("gateway", ECHO)
    async with mesh.anonymous() as http:
        run = await begin(http)
        async with asyncio.timeout(60):
            while (over := (await http.get(f"/v1/runs/{run['id']}")).json())["status"] != "expired":
                await asyncio.sleep(0.05)
        assert over["actions"][0]["status"] == "expired"
        late = await submit(http, run, (0, "rain"))
        assert late.status_code == 422
        assert "expired" in late.json()["error"]["message"]


async def test_a_run_is_cancelled_while_it_waits_and_while_it_is_answered(mesh: Mesh) -> None:
    async with await mesh.client("runs-cancel") as http:
        waiting = await begin(http)
        over = (await http.post(f"/v1/runs/{waiting['id']}/cancel")).json()
        assert (over["status"], over["actions"][0]["status"]) == ("cancelled", "cancelled")
        assert (await submit(http, waiting, (0, "rain"))).status_code == 422
        again = (await http.post(f"/v1/runs/{waiting['id']}/cancel")).json()
        assert again == over

        body = {"model": SLOW, "messages": [{"role": "user", "content": "/repeat a"}]}
        going = (await http.post("/v1/runs", json=body)).json()
        assert going["status"] in ("queued", "in_progress")
        stopped = (await http.post(f"/v1/runs/{going['id']}/cancel")).json()
        assert (stopped["status"], stopped["required_action"]) == ("cancelled", None)


async def test_of_a_run_s_status_only_its_end_can_be_asked_for(mesh: Mesh) -> None:
    async with await mesh.client("runs-status") as http:
        run = await begin(http)
        url = f"/v1/runs/{run['id']}/status"
        assert (await http.put(url, json={"status": "requires_action"})).json() == run
        refused = await http.put(url, json={"status": "in_progress"})
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["param"]) == (422, "conflict", "status")
        assert "PUT /v1/actions" in error["message"]
        assert (await http.put(url, json={"status": "processing"})).status_code == 422
        assert (await http.put(url, json={"status": "deleted"})).status_code == 400
        for word in ("cancelling", "cancelled"):
            stopped = await http.put(url, json={"status": word})
            assert (stopped.status_code, stopped.json()["status"]) == (200, "cancelled")
        done = f"/v1/runs/{(await begin(http, 'hello'))['id']}/status"
        assert (await http.put(done, json={"status": "cancelled"})).status_code == 422
        assert (await http.put(done, json={"status": "completed"})).status_code == 200
    async with await mesh.client("runs-status-other") as http:
        assert (await http.put(url, json={"status": "cancelled"})).status_code == 404


async def test_an_engine_that_fails_ends_the_run_with_its_reason(mesh: Mesh) -> None:
    async with await mesh.client("runs-failing") as http:
        run = await begin(http, "/repeat a", model=FAILING, tools=[])
    assert run["status"] == "failed"
    assert run["last_error"]["code"] == "engine_failed"


async def test_one_key_begins_one_run(mesh: Mesh) -> None:
    async with await mesh.client("runs-key") as http:
        headers = {"Idempotency-Key": "k"}
        first, second = [await begin(http, headers=headers) for _ in range(2)]
        assert first["id"] == second["id"]
        body = {"model": ECHO, "messages": [{"role": "user", "content": "else"}]}
        assert (await http.post("/v1/runs", json=body, headers=headers)).status_code == 422


async def test_other_people_s_runs_are_not_there(mesh: Mesh) -> None:
    async with await mesh.client("runs-mine") as http:
        run = await begin(http)
    action = run["actions"][0]["id"]
    async with await mesh.client("runs-other") as http:
        found = [
            await http.get(f"/v1/runs/{run['id']}"),
            await http.post(f"/v1/runs/{run['id']}/cancel"),
            await submit(http, run, (0, "x")),
            await http.get(f"/v1/runs/{run['id']}/actions/status"),
            await http.get(f"/v1/actions/pending/{run['id']}"),
            await http.get(f"/v1/actions/{action}"),
            await http.put(f"/v1/actions/{action}", json={"status": "failed"}),
            await http.get("/v1/runs/run_none"),
            await http.get("/v1/runs/run_%2A"),
            await http.get("/v1/actions/act_none"),
        ]
    assert [response.status_code for response in found] == [404] * len(found)


async def test_a_tool_that_has_to_be_called_is_called_once(mesh: Mesh) -> None:
    async with await mesh.client("runs-required") as http:
        run = await begin(http, tool_choice="required")
        await submit(http, run, (0, "rain"))
        assert (await settled(http, run["id"]))["content"] == "rain"


@pytest.mark.parametrize(
    ("more", "param"),
    [({"stream": True}, "stream"), ({"n": 2}, "n"), ({"logprobs": True, "tools": []}, "logprobs")],
)
async def test_what_a_run_cannot_do_is_refused_by_name(
    mesh: Mesh, more: dict[str, Any], param: str
) -> None:
    body = {"model": ECHO, "messages": [{"role": "user", "content": "x"}], "tools": [CLOCK]}
    async with mesh.anonymous() as http:
        response = await http.post("/v1/runs", json=body | more)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_a_run_keeps_to_its_owner_s_limits_and_waits_for_them_once_it_has_begun(
    new_mesh: Callable[..., Mesh],
) -> None:
    mesh = new_mesh(limit_requests=1)
    mesh.start("store", "gateway", ECHO)
    password = (mesh.broker.data_dir / "admin-password").read_text().strip()
    async with mesh.anonymous() as admin, await mesh.client("ada") as http:
        login = await admin.post("/auth/login", json={"username": "admin", "password": password})
        admin.headers["Authorization"] = f"Bearer {login.json()['access_token']['access_token']}"
        run = await begin(http)
        body = {"model": ECHO, "messages": [{"role": "user", "content": "x"}]}
        assert (await http.post("/v1/runs", json=body)).status_code == 429
        await submit(http, run, (0, "rain"))
        waiting = (await http.get(f"/v1/runs/{run['id']}", params={"wait": 1})).json()
        assert waiting["status"] == "in_progress"
        user = (await http.get("/auth/check")).json()
        raised = await admin.put(f"/admin/users/{user}/limits", json={"requests": 100})
        assert raised.status_code == 200
        assert (await settled(http, run["id"]))["content"] == "rain"


async def test_a_run_that_is_stopped_before_its_asking_stands_in_the_log_leaves_no_answer_behind(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    go, held, submit = threading.Event(), threading.Event(), Requests.submit

    async def late(self: Requests, *args: Any, **options: Any) -> Any:
        held.set()
        while not go.is_set():
            await asyncio.sleep(0.01)
        return await submit(self, *args, **options)

    mesh = new_mesh()
    mesh.start("store", "gateway", SLOW)
    async with await mesh.client("runs-late") as http:
        monkeypatch.setattr(Requests, "submit", late)
        said = [{"role": "user", "content": "/repeat a"}]
        run = (await http.post("/v1/runs", json={"model": SLOW, "messages": said})).json()
        assert await asyncio.to_thread(held.wait, 30)
        over = (await http.post(f"/v1/runs/{run['id']}/cancel")).json()
        assert over["status"] == "cancelled"
        go.set()
        async with asyncio.timeout(30):
            while not (truth := await read_truth(mesh.broker)).runs:
                await asyncio.sleep(0.1)
            while any(each.end is None for each in truth.runs.values()):
                truth = await read_truth(mesh.broker)
        (asked,) = truth.runs.values()
        assert isinstance(asked.end, Cancelled)


async def test_a_run_goes_on_after_a_step_that_failed_for_a_reason_nobody_foresaw(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own gateway alone sees to it while it lives, whoever has the lease."""
    further, failed = Conductor._further, list[str]()

    async def failing(self: Conductor, story: ToolStory, known: int) -> None:
        mine = story.run.messages[0].content == "unforeseen"  # not one of another mesh's
        if mine and not failed:
            failed.append(story.run.id)
            raise ValueError("nobody foresaw that")
        await further(self, story, known)

    monkeypatch.setattr(conductor, "LATER", 0.2)
    monkeypatch.setattr(conductor, "AGAIN", 600.0)
    monkeypatch.setattr(Conductor, "_further", failing)
    mesh = new_mesh()
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("runs-fail") as http:
        run = await begin(http, "unforeseen")
    assert run["status"] == "completed"
    assert [f"run_{each}" for each in failed] == [run["id"]]


async def test_a_run_whose_steps_always_fail_is_over_at_its_deadline(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(self: Conductor, story: ToolStory, known: int) -> None:
        raise ValueError("nobody foresaw that, and it does not pass")

    monkeypatch.setattr(Conductor, "_further", failing)
    mesh = new_mesh(run_timeout=2.0)
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("runs-doomed") as http:
        body = {"model": ECHO, "messages": [{"role": "user", "content": "x"}]}
        run = (await http.post("/v1/runs", json=body)).json()
        over = await settled(http, run["id"])
    assert (over["status"], over["last_error"]) == ("expired", None)
