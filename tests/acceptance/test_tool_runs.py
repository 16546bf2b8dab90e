"""Runs that call tools, with real processes that are killed while they wait or go on."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from mesh.bus.topology import LEASE_TTL
from tests.acceptance.conftest import Process, Processes, until

EXAMPLES = Path(__file__).parents[2] / "examples"
WEATHER = {"type": "function", "function": {"name": "get_weather"}}
CALL = "/call get_weather {}"


def offered(*names: str) -> list[dict[str, Any]]:
    numbers = {"type": "array", "items": {"type": "number"}}
    parameters = {"type": "object", "properties": {"numbers": numbers}, "required": ["numbers"]}
    given = {"parameters": parameters}
    return [{"type": "function", "function": {"name": name} | given} for name in names]


def begin(url: str, text: str = CALL, tools: Any = (WEATHER,)) -> str:
    """A new run's id."""
    body = {"messages": [{"role": "user", "content": text}], "tools": list(tools)}
    response = httpx.post(f"{url}/v1/runs", json=body, timeout=60)
    assert response.status_code == 200, response.text
    run_id: str = response.json()["id"]
    return run_id


def look(url: str, run_id: str) -> dict[str, Any]:
    response = httpx.get(f"{url}/v1/runs/{run_id}", timeout=60)
    assert response.status_code == 200, response.text
    run: dict[str, Any] = response.json()
    return run


def await_state(url: str, run_id: str, state: str, seconds: float = 60) -> dict[str, Any]:
    until(f"it is {state}", lambda: look(url, run_id)["status"] == state, seconds)
    return look(url, run_id)


def submit(url: str, run: dict[str, Any], output: str) -> None:
    said = {"tool_call_id": run["actions"][0]["tool_call_id"], "output": output}
    there = f"{url}/v1/runs/{run['id']}/submit_tool_outputs"
    httpx.post(there, json={"tool_outputs": [said]}, timeout=60).raise_for_status()


@pytest.fixture
def gateway(processes: Processes) -> Process:
    """A gateway and a worker."""
    gateway = processes.gateway()
    processes.worker("w1", "--echo-rate", "20")
    processes.await_workers(1)
    return gateway


def test_a_gateway_killed_while_a_run_waits_for_its_tools_loses_nothing(
    processes: Processes, gateway: Process
) -> None:
    run = await_state(processes.url, begin(processes.url), "requires_action")
    gateway.kill()
    gateway.start()
    processes.await_gateway()
    assert look(processes.url, run["id"]) == run
    submit(processes.url, run, "It rains.")
    over = await_state(processes.url, run["id"], "completed")
    assert over["content"] == "It rains."


def test_a_gateway_killed_while_a_run_is_answered_goes_on_with_it(
    processes: Processes, gateway: Process
) -> None:
    words = " ".join(f"word{at}" for at in range(40))
    run_id = begin(processes.url, words)
    gateway.kill()
    gateway.start()
    processes.await_gateway()
    assert await_state(processes.url, run_id, "completed")["content"] == words


def test_another_gateway_takes_the_outcome_and_goes_on_when_the_first_is_gone(
    processes: Processes, gateway: Process
) -> None:
    _, second = processes.second_gateway()
    there = await_state(second, begin(processes.url), "requires_action")
    submit(second, there, "It rains.")  # the first one hears of it, and goes on
    assert await_state(second, there["id"], "completed")["content"] == "It rains."

    gone = await_state(second, begin(processes.url), "requires_action")
    gateway.kill()
    submit(second, gone, "It snows.")
    assert await_state(second, gone["id"], "completed", 60)["content"] == "It snows."


def test_runs_of_a_gateway_that_died_before_anybody_saw_it_are_gone_on_with(
    processes: Processes, gateway: Process
) -> None:
    """Both die together, and one alone returns, who has never seen the other."""
    other, second = processes.second_gateway()
    run = await_state(second, begin(second), "requires_action")
    gateway.kill()
    other.kill()
    time.sleep(LEASE_TTL + 1)  # it is not seen any more
    gateway.start()
    processes.await_gateway()
    submit(processes.url, run, "It rains.")
    over = await_state(processes.url, run["id"], "completed", 90)
    assert over["content"] == "It rains."


@contextmanager
def service(processes: Processes, script: str, name: str, tools: str) -> Iterator[None]:
    """An example, started as `mesh join` says; killed afterwards."""
    command = [sys.executable, "-m", "mesh", "join", name, "--tools", tools]
    port = processes.broker.url.rpartition(":")[2]
    joined = subprocess.run(
        [*command, "--host", "127.0.0.1", "--nats-port", port],
        env=processes.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    (line,) = [line for line in joined.stdout.splitlines() if "MESH_TOOL_USER" in line]
    given = dict(word.split("=", 1) for word in line.split())
    assert given["MESH_TOOL_USER"] == name
    with (processes.folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / script)],
            env=processes.env | given,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_a_registered_service_does_what_a_run_calls(processes: Processes, gateway: Process) -> None:
    url, tools = processes.url, offered("add", "average")
    early = begin(url, '/call add {"numbers": [1, 2]}', tools)
    await_state(url, early, "requires_action")
    with service(processes, "tool_sums.py", "sums", "add,average"):
        over = await_state(url, early, "completed")
        assert over["content"] == "3", "one that came while the run waited"
        both = '/call add {"numbers": [3, 4]}\n/call average {"numbers": [1, 2]}'
        over = await_state(url, begin(url, both, tools), "completed")
        assert [action["result"] for action in over["actions"]] == ["7", '{"average":1.5}']
        over = await_state(url, begin(url, '/call average {"numbers": []}', tools), "completed")
        (action,) = over["actions"]
        assert action["status"] == "failed"
        assert action["result"].startswith("ERROR: ")
    with service(processes, "tool_clock.py", "time", "clock"):
        clock = {"type": "function", "function": {"name": "clock"}}
        over = await_state(url, begin(url, "/call clock {}", [clock]), "completed")
        assert over["content"].startswith("20")
