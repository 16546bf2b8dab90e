"""What is said to a run, or begins one, is kept whole or not at all; and what waits says so."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from mesh.gateway.threads import bodies, runs
from mesh.protocol.errors import ErrorCode
from tests.calling import CALL, CLOCK, WEATHER
from tests.integration.test_runs import submit
from tests.integration.test_runs_let_in import Full, asked
from tests.integration.test_runs_refused import results, two_calls
from tests.integration.test_threads import (
    begin,
    changes,
    events,
    new_assistant,
    new_thread,
    said,
)
from tests.whole_mesh import ECHO, Mesh

ROUNDS = 20
LARGE = 5 << 20


@pytest.fixture
def wide(new_mesh: Callable[..., Mesh]) -> Mesh:
    """A mesh that takes longer bodies than its broker takes messages."""
    mesh = new_mesh(max_body=32 << 20)
    mesh.start("store", "gateway", ECHO)
    return mesh


async def test_of_two_who_say_something_else_at_once_one_is_heard(mesh: Mesh) -> None:
    async with await mesh.client("outcomes-at-once") as http:
        for _ in range(ROUNDS):
            run = await two_calls(http)
            answers = await asyncio.gather(
                submit(http, run, (0, "rain"), (1, "noon")),
                submit(http, run, (1, "night"), (0, "sun")),
            )
            assert sorted(each.status_code for each in answers) == [200, 422]
            heard = ["rain", "noon"] if answers[0].status_code == 200 else ["sun", "night"]
            assert await results(http, run) == heard


async def test_outcomes_of_which_one_is_too_long_are_not_taken(wide: Mesh) -> None:
    async with await wide.client("outcomes-long") as http:
        run = await two_calls(http)
        refused = await submit(http, run, (0, "rain"), (1, "x" * 2 * LARGE))
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_large")
        assert await results(http, run) == [None, None]
        url = f"/v1/actions/{run['actions'][0]['id']}"
        body = {"status": "completed", "result": "x" * 2 * LARGE}
        assert (await http.put(url, json=body)).status_code == 413
        assert (await submit(http, run, (0, "rain"), (1, "noon"))).status_code == 200


@pytest.mark.parametrize("url", ["/v1/runs", "/v1/threads/{thread}/runs"])
async def test_a_run_that_is_too_large_adds_nothing_to_its_thread(wide: Mesh, url: str) -> None:
    tools = [
        {"type": "function", "function": {"name": f"wide{n}", "description": "x" * LARGE}}
        for n in range(2)
    ]
    async with await wide.client("too-large") as http:
        assistant, thread = await new_assistant(http), await new_thread(http, "hello")
        body = {
            "thread_id": thread,
            "assistant_id": assistant,
            "tools": tools,
            "additional_messages": [{"content": "more"}],
        }
        refused = await http.post(url.format(thread=thread), json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_large")
        assert await said(http, thread) == [("user", "hello")]
        assert (await http.get(f"/v1/threads/{thread}/runs")).json()["data"] == []


async def test_what_an_assistant_may_call_is_read_beside_the_loop(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    read = bodies.read_run

    def noticed(*given: Any) -> Any:
        threads.append(threading.current_thread().name)
        return read(*given)

    monkeypatch.setattr(runs, "read_run", noticed)
    properties = {f"p{n}": {"type": "string"} for n in range(100)}
    parameters = {"type": "object", "properties": properties}
    large = [
        {"type": "function", "function": {"name": f"f{n}", "parameters": parameters}}
        for n in range(10)
    ]
    async with await mesh.client("stored-tools") as http:
        for tools in ([CLOCK], large):
            thread = await new_thread(http, "hello")
            await begin(http, thread, await new_assistant(http, tools=tools))
    assert threads[0] == "mesh", "what is small is read at once"
    assert threads[1] != "mesh"


async def test_a_run_that_waits_says_so_every_second(mesh: Mesh) -> None:
    async with await mesh.client("says-it-waits") as http:
        body = asked(CALL, tools=[WEATHER])
        run = (await http.post("/v1/runs", json=body)).raise_for_status().json()
        waiting: list[dict[str, Any]] = []
        async for event in events(http, "GET", f"/v1/runs/{run['id']}/events"):
            if event["status"] == "requires_action":
                waiting.append(event)
            if len(waiting) == 3:
                break
        assert waiting[0] == waiting[2]
        (call,) = waiting[2]["required_action"]["submit_tool_outputs"]["tool_calls"]
        assert call["function"]["name"] == "get_weather"


async def test_so_does_one_for_which_there_is_no_room(
    new_mesh: Callable[..., Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", ECHO)
    async with await mesh.client("ada") as http:
        full, told = Full(monkeypatch, ErrorCode.SHARE_FULL), []
        begun = (await http.post("/v1/runs", json=asked())).raise_for_status().json()
        async for event in events(http, "GET", f"/v1/runs/{begun['id']}/events"):
            told.append(event)
            full.free = len(told) >= 3
        assert [each["status"] for each in told[:3]] == ["queued"] * 3
        assert changes(told[:-1])[-1] == "completed"
