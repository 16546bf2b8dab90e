"""Runs on threads, with real processes that are killed while they go on: what is said is kept."""

import json
from typing import Any

import httpx
import pytest

from mesh_client import Client, MemoryStore
from mesh_client.assistants import Assistants, RunContent
from tests.acceptance.conftest import Process, Processes, until

CLOCK = {"type": "function", "function": {"name": "clock"}}
WORDS = " ".join(f"word{at}" for at in range(40))


@pytest.fixture
def gateway(processes: Processes) -> Process:
    """A gateway, a store and a worker of 20 tokens a second."""
    gateway = processes.gateway()
    processes.worker("w1", "--echo-rate", "20")
    processes.await_workers(1)
    return gateway


def post(url: str, **body: Any) -> Any:
    response = httpx.post(url, json=body, timeout=60)
    assert response.is_success, response.text
    return response.json()


def said(url: str, thread: str) -> list[tuple[str, str]]:
    response = httpx.get(f"{url}/v1/threads/{thread}/messages", timeout=60)
    data = response.raise_for_status().json()["data"]
    return [(message["role"], message["content"]) for message in data]


def begin(url: str, text: str) -> tuple[str, str]:
    """A thread with a question, and the run that answers it."""
    assistant = post(f"{url}/v1/assistants", tools=[CLOCK])["id"]
    thread = post(f"{url}/v1/threads", messages=[{"content": text}])["id"]
    run = post(f"{url}/v1/threads/{thread}/runs", assistant_id=assistant)["id"]
    return thread, run


def await_state(url: str, run: str, state: str) -> None:
    def stands() -> bool:
        found = httpx.get(f"{url}/v1/runs/{run}", timeout=60)
        return found.is_success and found.json()["status"] == state

    until(f"{run} is {state}", stands, 60)


def test_an_answer_is_in_its_thread_though_gateway_and_store_were_killed_meanwhile(
    processes: Processes, gateway: Process
) -> None:
    store = processes.store()
    processes.await_store()
    thread, run = begin(processes.url, WORDS)
    store.kill()
    gateway.kill()
    gateway.start()
    processes.await_gateway()
    await_state(processes.url, run, "completed")
    away = httpx.get(f"{processes.url}/v1/threads/{thread}/messages", timeout=60)
    assert away.status_code == 503
    store.start()
    processes.await_store()
    assert said(processes.url, thread) == [("user", WORDS), ("assistant", WORDS)]

    thread, run = begin(processes.url, "/call clock {}")
    await_state(processes.url, run, "requires_action")
    store.kill()
    (call,) = httpx.get(f"{processes.url}/v1/actions/pending/{run}", timeout=60).json()
    done = {"status": "completed", "result": "noon"}
    url = f"{processes.url}/v1/actions/{call['action_id']}"
    httpx.put(url, json=done, timeout=60).raise_for_status()
    await_state(processes.url, run, "completed")
    store.start()
    processes.await_store()
    assert said(processes.url, thread)[1:] == [
        ("assistant", ""),
        ("tool", "noon"),
        ("assistant", "noon"),
    ]


def test_another_gateway_tells_a_run_to_its_end_though_the_first_was_killed(
    processes: Processes, gateway: Process
) -> None:
    processes.store()
    processes.await_store()
    _, second = processes.second_gateway()
    _, run = begin(processes.url, WORDS)
    content, status = "", ""
    with httpx.stream("GET", f"{second}/v1/runs/{run}/events", timeout=60) as told:
        for line in told.iter_lines():
            if line == "data: [DONE]":
                break
            event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            content += event.get("content", "")
            status = event.get("status", status)
            if content.endswith("word4 ") and gateway.running:
                gateway.kill()
    assert (content, status) == (WORDS, "completed")


def test_the_client_reads_on_where_it_was_when_its_gateway_comes_back(
    processes: Processes, gateway: Process
) -> None:
    processes.store()
    processes.await_store()
    with Client(processes.url, username="ada", store=MemoryStore()) as client:
        assistants = Assistants(client)
        thread = assistants.thread()
        thread.say(WORDS)
        pieces: list[str] = []
        for event in thread.ask(assistants.create()):
            if isinstance(event, RunContent):
                pieces.append(event.content)
            if len(pieces) == 5 and gateway.running:
                gateway.kill()
                gateway.start()
                processes.await_gateway()
                pieces.append("")
        assert "".join(pieces) == WORDS
        assert [said.content for said in thread.messages()] == [WORDS, WORDS]
