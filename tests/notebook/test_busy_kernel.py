"""A kernel that is busy with a cell, of each ipykernel that treats such a click differently.

The test plays the browser: it reads the view's state from the kernel's messages, and presses Stop
as the view's JavaScript does.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.notebook.kernels import Kernel, kernel
from tests.whole_mesh import SLOW, Mesh

LONG = "/repeat " + " ".join(f"<{n}>" for n in range(500))
BUSY = "import time; time.sleep(60)"


@pytest.fixture(params=["6.31.0", "7.3.0", "7.4.0"])
def busy(request: pytest.FixtureRequest, mesh: Mesh, tmp_path: Path) -> Iterator[Kernel]:
    """A kernel with a chat."""
    settings = {"MESH_URL": mesh.url, "MESH_USER": tmp_path.name}
    with kernel(tmp_path, request.param, **settings) as found:
        version = found.run("import ipykernel; print(ipykernel.__version__)")
        assert version.strip() == request.param
        found.run(f"from mesh_client.notebook import Chat\nchat = Chat(model={SLOW!r})")
        found.run("%load_ext mesh_client.notebook")
        yield found


def press_stop(shown: dict[str, str]) -> httpx.Response:
    """What the view's JavaScript does first."""
    return httpx.post(
        f"{shown['gateway']}/cancel",
        json={"cancel_token": shown["cancel_token"]},
        headers={"Origin": "http://localhost:8888", "Content-Type": "text/plain"},
    )


def test_stop_is_confirmed_while_another_cell_keeps_the_kernel_busy(busy: Kernel) -> None:
    busy.run(f"%%mesh {SLOW} --bg --out answer\n{LONG}")
    asked = busy.start(BUSY)
    busy.until("text", lambda: busy.shown().get("pieces", 0) > 5)
    grown = busy.shown()["pieces"]
    busy.until("more text while the cell runs", lambda: busy.shown()["pieces"] > grown)
    shown = busy.until("a token", lambda: busy.shown() if busy.shown()["cancel_token"] else None)
    began = time.monotonic()
    assert press_stop(shown).json()["cancelled"] is True
    confirmed = time.monotonic() - began
    busy.until("the view says so", lambda: busy.shown()["phase"] == "ended", seconds=1.0)
    assert confirmed < 1.0
    assert busy.shown()["status"].startswith("stopped after ")
    assert not busy.idle(asked), "the cell has to be still running"
    busy.manager.interrupt_kernel()


def test_an_interrupted_cell_stops_its_answer_and_says_so(busy: Kernel) -> None:
    asked = busy.start(f"chat.ask({LONG!r})")
    busy.until("text", lambda: busy.shown().get("pieces", 0) > 2)
    busy.manager.interrupt_kernel()
    busy.until("the end of the cell", lambda: busy.idle(asked))
    (error,) = busy.of(asked, "error")
    assert error["content"]["ename"] == "KeyboardInterrupt"
    assert "stopped after" in error["content"]["evalue"]
    assert busy.run("print(chat.answers[-1].state, chat.answers[-1].stopped)").startswith(
        "cancelled stopped after"
    )


def test_a_stop_through_the_kernel_waits_for_no_cell_when_there_is_none(busy: Kernel) -> None:
    busy.run(f"%%mesh {SLOW} --bg --out answer\n{LONG}")
    busy.until("text", lambda: busy.shown().get("pieces", 0) > 2)
    busy.say(busy.comm(), {"stop": True})
    busy.until("the view says so", lambda: busy.shown()["phase"] == "ended", seconds=5.0)
    assert "freed in" in busy.shown()["status"]


def test_the_answer_stands_in_the_cell_as_markdown_and_nothing_else(busy: Kernel) -> None:
    asked = busy.start("chat.ask('one two three')")
    busy.until("its end", lambda: busy.idle(asked))
    (shown,) = busy.of(asked, "display_data")
    (written,) = busy.of(asked, "update_display_data")
    assert "application/vnd.jupyter.widget-view+json" in shown["content"]["data"]
    assert shown["content"]["transient"] == written["content"]["transient"]
    assert written["content"]["data"].keys() == {"text/markdown", "text/plain"}
    assert written["content"]["data"]["text/markdown"].startswith("one two three\n\n<small>")
