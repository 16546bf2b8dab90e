"""One chat in all three clients: the page, the terminal and a notebook see the same of it."""

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from mesh_client.notebook import Chat
from mesh_client.notebook import Mesh as NotebookMesh
from tests.page.tab import Tab
from tests.sitting import CTRL_C, Sitting, idle
from tests.whole_mesh import ECHO, SLOW, Mesh

LONG = " ".join(f"word{number}" for number in range(400))
"""Twenty seconds of the slow model."""


@pytest.fixture
def user(tab: Tab) -> str:
    """Whose chat it is."""
    return tab.page.locator(".who").inner_text()


@pytest.fixture
def sitting(mesh: Mesh, user: str, tmp_path: Path) -> Iterator[Sitting]:
    """`mesh chat`, at its first line."""
    own = {name: str(tmp_path) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")}
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    command = [sys.executable, "-m", "mesh", "chat", "--url", mesh.url, "--user", user]
    sitting = Sitting(command, environment | own | {"PYTHONUTF8": "1"})
    sitting.wait_for("connected")
    yield sitting
    sitting.close()


@pytest.fixture
def notebook(
    mesh: Mesh, user: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[NotebookMesh]:
    """The mesh as a notebook sees it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "notebook"))
    found = NotebookMesh(mesh.url, user)
    yield found
    found.close()


def test_an_answer_begun_in_the_page_is_read_and_stopped_elsewhere(
    tab: Tab, sitting: Sitting, notebook: NotebookMesh
) -> None:
    tab.ask(LONG, SLOW)
    expect(tab.answers).to_have_text(re.compile("word5"))
    chat_id = tab.page.url.rpartition("/")[2]
    sitting.send(f"/resume {chat_id}")
    sitting.wait_for("word5", "answering")
    chat = Chat.resume(chat_id, mesh=notebook)
    answer = chat.running
    assert answer is not None
    sitting.type(CTRL_C)
    text = sitting.wait(lambda text: "stopped after" in text and idle(text))
    (tokens,) = re.findall(r"stopped after (\d+) tokens", text)
    expect(tab.page.locator(".figures")).to_contain_text(f"{tokens} tokens")
    expect(tab.page.locator(".note")).to_have_text("Stopped.")
    assert (answer.wait().state, answer.tokens) == ("cancelled", int(tokens))
    assert tab.answers.inner_text().strip() == answer.text.strip()


def test_branches_made_in_one_client_are_there_in_the_others(
    tab: Tab, sitting: Sitting, notebook: NotebookMesh
) -> None:
    tab.ask("the first wording", ECHO)
    expect(tab.answers).to_have_text("the first wording")
    chat_id = tab.page.url.rpartition("/")[2]
    sitting.say(f"/resume {chat_id}")
    sitting.say(f"/retry {ECHO}")
    chat = Chat.resume(chat_id, mesh=notebook, model=ECHO)
    chat.edit("another wording", show=False)
    tab.page.reload()
    versions = tab.page.get_by_role("group", name="Versions")
    expect(tab.questions).to_have_text("another wording")
    expect(versions).to_have_text("2 / 2")
    tab.button("Earlier version").click()
    expect(versions).to_have_text(["1 / 2", "2 / 2"])
    expected = [
        "├─› the first wording",
        "│ ├─1 the first wording",
        "│ └─2 the first wording ← here",
        "└─› another wording",
        "3 another wording",
    ]
    until = time.monotonic() + 60  # the page tells where it is after it has shown it
    while (drawn := _tree(sitting)) != expected and time.monotonic() < until:
        time.sleep(0.2)
    assert drawn == expected
    assert len(chat.messages_df()) == 5


def _tree(sitting: Sitting) -> list[str]:
    """The chat's tree as the REPL draws it, row by row."""
    tree = sitting.say("/tree")
    return [line.strip() for line in tree.rpartition("/tree")[2].split("\n")][1:6]
