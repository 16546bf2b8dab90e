"""`mesh ps` and `mesh events` against a real broker, gateway and echo worker."""

import json
import threading
from ast import literal_eval
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fleet import Fleet, fleet, wait_until

WORDS = "a rather private matter"


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Fleet]:
    """A gateway, and a worker with one slot and 50 tokens a second."""
    with fleet(tmp_path) as found:
        found.gateway()
        found.worker("w1", "--echo-rate", "50", "--slots", "1")
        yield found


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def ask(mesh: Fleet, prompt: str, max_tokens: int = 50) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": max_tokens}
    try:
        return httpx.post(f"{mesh.url}/v1/chat/completions", json=body, timeout=30.0)
    except httpx.TransportError:  # the gateway was killed meanwhile
        return httpx.Response(599)


def snapshot(mesh: Fleet) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(mesh.run("ps", "--json").stdout)
    return found


def states(mesh: Fleet) -> list[str]:
    return sorted(request["state"] for request in snapshot(mesh)["requests"])


def test_ps_tells_workers_queue_and_requests_also_without_a_gateway(
    mesh: Fleet, pool: ThreadPoolExecutor
) -> None:
    answers: list[Future[httpx.Response]] = [
        pool.submit(ask, mesh, "/repeat lorem ipsum", 5000) for _ in range(2)
    ]
    wait_until("one runs, one waits", lambda: states(mesh) == ["running", "waiting"])
    mesh.kill("gateway")
    found = snapshot(mesh)
    (worker,) = found["workers"]
    assert (worker["name"], worker["models"], worker["engine"]) == ("w1", ["echo"], "echo")
    assert (worker["slots"], worker["draining"]) == (1, False)
    assert worker["up"] > 0
    assert found["queues"] == [
        {"model": "echo", "waiting": 1, "in_work": 1, "workers": 1, "slots": 1}
    ]
    running = next(one for one in found["requests"] if one["state"] == "running")
    assert (running["worker"], running["tenant"], running["attempts"]) == ("w1", "guest", 1)
    shown = mesh.run("ps").stdout
    assert running["rid"] in shown
    assert "\x1b" not in shown
    assert all(word in shown for word in ("Workers", "Queue", "Requests", "w1", "waiting"))
    assert [answer.result().status_code for answer in answers] == [599, 599]


def test_ps_of_a_mesh_that_was_never_used_is_empty(tmp_path: Path) -> None:
    with fleet(tmp_path) as mesh:
        found = snapshot(mesh)
        assert (found["workers"], found["queues"], found["requests"]) == ([], [], [])
        assert "mesh worker" in mesh.run("ps").stdout


def test_ps_watches(mesh: Fleet) -> None:
    watching = mesh.spawn("ps", "--watch", "--json")
    assert watching.stdout is not None
    looks = [json.loads(watching.stdout.readline()) for _ in range(2)]
    watching.terminate()
    watching.communicate()
    assert looks[1]["at"] > looks[0]["at"]


def test_ps_watches_in_a_pipe_for_people_too(mesh: Fleet) -> None:
    watching = mesh.spawn("ps", "--watch")
    assert watching.stdout is not None
    looks = 0
    for line in watching.stdout:
        looks += line.startswith(b"Workers")
        if looks == 2:
            break
    watching.terminate()
    watching.communicate()
    assert looks == 2


def test_top_needs_a_terminal(mesh: Fleet) -> None:
    done = mesh.run("top")
    assert done.returncode == 2
    assert "`mesh ps --watch`" in done.stderr


@pytest.mark.parametrize("command", ["ps", "events"])
def test_without_a_broker_they_say_so(mesh: Fleet, command: str) -> None:
    mesh.end()
    mesh.broker.stop()
    done = mesh.run(command)
    assert done.returncode == 1
    assert done.stderr.startswith("mesh: No broker answers at nats://127.0.0.1:")


def test_events_tell_what_happened_but_not_what_was_said(mesh: Fleet) -> None:
    ask(mesh, WORDS)
    mesh.stop("w1")
    mesh.kill("gateway")
    told = mesh.run("events", "--since", "1h", "--no-follow", "--json")
    found = [json.loads(line) for line in told.stdout.splitlines()]
    assert [line["event"] for line in found] == ["started", "queued", "claim", "done", "stopped"]
    started, queued, claim, done, _ = found
    assert queued["rid"] == claim["rid"] == done["rid"]
    assert (claim["worker"], done["worker"], started["rid"]) == ("w1", "w1", None)
    assert "4 tokens" in done["detail"]
    assert [line["seq"] for line in found] == sorted({line["seq"] for line in found})
    people = mesh.run("events", "--since", "1h", "--no-follow").stdout
    assert queued["rid"] in people
    assert not any(word in told.stdout + people for word in WORDS.split()[1:])


def test_events_quote_tokens_when_they_are_asked_to(mesh: Fleet) -> None:
    ask(mesh, WORDS)
    told = mesh.run("events", "--since", "1h", "--no-follow", "--tokens", "--json").stdout
    found = [json.loads(line) for line in told.splitlines()]
    said = [line["detail"].partition(": ") for line in found if line["event"] == "tokens"]
    assert "".join(literal_eval(text) for _, _, text in said) == WORDS
    assert said[0][0] == "0"


def test_events_begin_where_they_are_told_to(mesh: Fleet) -> None:
    ask(mesh, WORDS)
    last = mesh.run("events", "--since", "1h", "--no-follow", "--json").stdout.splitlines()
    assert mesh.run("events", "--since", "0s", "--no-follow").stdout == ""
    assert mesh.run("events", "--no-follow").stdout == ""
    assert len(last) == 4
    refused = mesh.run("events", "--since", "yesterday")
    assert refused.returncode == 2
    assert "10m" in refused.stderr


def test_events_follow_the_log_live(mesh: Fleet) -> None:
    watching = mesh.spawn("events", "--json", "--since", "1h")
    assert watching.stdout is not None
    assert json.loads(watching.stdout.readline())["event"] == "started"
    asking = threading.Thread(target=ask, args=(mesh, WORDS))
    asking.start()
    found = [json.loads(watching.stdout.readline())["event"] for _ in range(3)]
    asking.join()
    watching.terminate()
    watching.communicate()
    assert found == ["queued", "claim", "done"]
