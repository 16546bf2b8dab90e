"""What a run does not take is refused as a whole, and by name; nothing of it is kept."""

from typing import Any

import httpx
import pytest

from tests.calling import CALL, CLOCK, WEATHER, settled
from tests.integration.test_runs import submit
from tests.whole_mesh import ECHO, Mesh


async def two_calls(http: httpx.AsyncClient) -> dict[str, Any]:
    """A run that waits for what comes of two calls."""
    said = [{"role": "user", "content": f"{CALL}\n/call clock {{}}"}]
    body = {"model": ECHO, "messages": said, "tools": [WEATHER, CLOCK]}
    begun = (await http.post("/v1/runs", json=body)).raise_for_status().json()
    return await settled(http, begun["id"])


async def results(http: httpx.AsyncClient, run: dict[str, Any]) -> list[str | None]:
    now = (await http.get(f"/v1/runs/{run['id']}")).raise_for_status().json()
    return [action["result"] for action in now["actions"]]


async def test_outcomes_are_taken_together_or_not_at_all(mesh: Mesh) -> None:
    async with await mesh.client("outcomes-together") as http:
        run = await two_calls(http)
        assert (await submit(http, run, (0, "rain"))).status_code == 200
        before = await results(http, run)
        refused = await submit(http, run, (1, "noon"), (0, "sun"))
        assert refused.status_code == 422
        assert "another outcome" in refused.json()["error"]["message"]
        assert await results(http, run) == before, "the other was not kept either"
        assert (await submit(http, run, (1, "noon"), (0, "rain"))).status_code == 200
        assert (await settled(http, run["id"]))["status"] == "completed"


async def test_two_outcomes_of_one_call_are_none(mesh: Mesh) -> None:
    async with await mesh.client("outcomes-twice") as http:
        run = await two_calls(http)
        before = await results(http, run)
        refused = await submit(http, run, (0, "rain"), (0, "sun"))
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "tool_outputs")
        assert await results(http, run) == before
        assert (await submit(http, run, (0, "rain"), (0, "rain"))).status_code == 200


@pytest.mark.parametrize("url", ["/v1/runs", "/v1/threads/THREAD/runs"])
async def test_a_run_on_a_thread_says_how_to_add_to_it(mesh: Mesh, url: str) -> None:
    async with await mesh.client("thread-messages") as http:
        begun = await http.post("/v1/threads", json={"messages": [{"content": "hello"}]})
        thread = begun.raise_for_status().json()["id"]
        made = await http.post("/v1/assistants", json={"model": ECHO})
        body = {
            "thread_id": thread,
            "assistant_id": made.raise_for_status().json()["id"],
            "messages": [{"role": "user", "content": "more"}],
        }
        refused = await http.post(url.replace("THREAD", thread), json=body)
        assert refused.status_code == 400
        error = refused.json()["error"]
        assert error["param"] == "messages"
        assert "additional_messages" in error["message"]


async def test_messages_that_are_no_list_are_refused_as_missing_ones(mesh: Mesh) -> None:
    async with mesh.anonymous() as http:
        refused = await http.post("/api/messages/process", json={"messages": "x"})
    expected = {"error": "Invalid or missing 'messages' in request"}
    assert (refused.status_code, refused.json()) == (400, expected)
