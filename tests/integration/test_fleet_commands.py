"""`mesh chats` and `mesh top` against a real mesh, the latter in a real terminal."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet import Fleet, fleet
from tests.terminal import Terminal


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("fleet")) as found:
        found.gateway()
        found.store()
        found.worker("w1", "--echo-rate", "50", "--slots", "4")
        yield found


def mesh_as(mesh: Fleet, user: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return mesh.run(*words, url=mesh.url, user=user)


def listed(mesh: Fleet, user: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(mesh_as(mesh, user, "chats", "--json").stdout)["chats"]
    return found


def test_chats_are_listed_printed_and_deleted(mesh: Fleet) -> None:
    assert "No chat yet" in mesh_as(mesh, "lister", "chats").stdout
    for question in ("Hello there.", "And again."):
        mesh_as(mesh, "lister", "ask", question)
    newest, oldest = listed(mesh, "lister")
    assert (newest["title"], oldest["title"]) == ("And again.", "Hello there.")
    table = mesh_as(mesh, "lister", "chats").stdout
    assert re.search(
        rf"{newest['id'][:8]}.*And again\. *\n{oldest['id'][:8]}.*Hello there\.", table
    )

    printed = mesh_as(mesh, "lister", "chats", "show", oldest["id"][:8])
    assert "## You\n\nHello there.\n\n## echo\n\nHello there.\n" in printed.stdout
    whole = json.loads(mesh_as(mesh, "lister", "chats", "show", oldest["id"], "--json").stdout)
    assert [message["role"] for message in whole["messages"]] == ["prompter", "assistant"]

    assert mesh_as(mesh, "lister", "chats", "delete", oldest["id"], "--yes").returncode == 0
    assert [chat["id"] for chat in listed(mesh, "lister")] == [newest["id"]]


def test_a_chat_that_is_not_there_is_wrong_usage(mesh: Fleet) -> None:
    done = mesh_as(mesh, "nobody", "chats", "show", "0123")
    assert done.returncode == 2 and "No chat begins with 0123" in done.stderr
    away = mesh.run("chats", url="http://127.0.0.1:9")
    assert away.returncode == 3 and "start one with `mesh up`" in away.stderr


def test_a_list_that_is_watched_tells_what_is_new(mesh: Fleet) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "mesh", "chats", "--watch", "--json"],
        env=mesh.environment | {"MESH_URL": mesh.url, "MESH_USER": "watcher"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline()) == {"chats": []}
        mesh_as(mesh, "watcher", "ask", "Something new.")
        seen = (json.loads(line)["chats"] for line in watching.stdout)
        assert next(chats for chats in seen if chats)[0]["title"] == "Something new."
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 0
    finally:
        watching.kill()
        watching.wait()
        if watching.stdout is not None:
            watching.stdout.close()


@pytest.fixture
def top(mesh: Fleet, tmp_path: Path) -> Iterator[Terminal]:
    environment = {name: value for name, value in mesh.environment.items() if name != "NO_COLOR"}
    environment |= {"HOME": str(tmp_path), "PYTHONUTF8": "1"}
    terminal = Terminal([sys.executable, "-m", "mesh", "top"], environment, 110, 30)
    terminal.wait_for("mesh top", "w1", "started")
    yield terminal
    terminal.close()


def test_top_shows_work_as_it_goes_and_leaves_at_q(mesh: Fleet, top: Terminal) -> None:
    asking = mesh.spawn("ask", "--url", mesh.url, "/repeat one two three")
    try:
        top.wait_for("1 of 4 slots busy", "claim", "tokens/s ▁")
    finally:
        asking.terminate()
        asking.communicate()
    top.wait_for("cancelled", "0 of 4 slots busy")
    top.type("p")
    top.wait_for("paused")
    top.type("pq")
    assert top.exit_status() == 0


def test_top_without_a_broker_says_so(tmp_path: Path, mesh: Fleet) -> None:
    done = mesh.run("top", nats="nats://127.0.0.1:9")
    assert done.returncode == 1 and "No broker answers" in done.stderr
