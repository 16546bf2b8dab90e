"""Notebooks without anywidget, ipywidgets or a browser; and the examples of the guide."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.notebook.kernels import Kernel, kernel
from tests.whole_mesh import ECHO, SLOW, Mesh

GUIDE = Path(__file__).parents[2] / "docs" / "notebook.md"
HIDE = (
    "import sys\nfor name in {names}: sys.modules[name] = None\nfrom mesh_client.notebook import *"
)
WORDS = " ".join("abcdefghijklmnopqrstuvwxyz")
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def without(mesh: Mesh, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Kernel]:
    """A kernel that does not have what is named."""
    with kernel(tmp_path, MESH_URL=mesh.url, MESH_USER=tmp_path.name) as found:
        found.run(HIDE.format(names=request.param))
        yield found


def html(talk: Kernel) -> list[str]:
    """The texts that HTML widgets were told, in order."""
    states = [message["content"].get("data", {}).get("state", {}) for message in talk.heard]
    return [state["value"] for state in states if isinstance(state.get("value"), str)]


@pytest.mark.parametrize("without", [["anywidget"]], indirect=True)
def test_without_anywidget_there_is_the_same_window(without: Kernel) -> None:
    without.run(f"chat = Chat(model={SLOW!r})\nchat")
    without.start(f"answer = chat.ask({WORDS!r}, show=False)")
    without.until("tokens", lambda: any(">a b c " in text for text in html(without)))
    without.until("Markdown", lambda: any("> a b c" in said for said in without.markdown()))


@pytest.mark.parametrize("without", [["anywidget"]], indirect=True)
def test_without_anywidget_an_answer_still_ends_as_markdown(without: Kernel) -> None:
    without.run(f"answer = Chat(model={SLOW!r}).ask('one two three')")
    assert any("one two" in text for text in html(without))
    assert without.markdown()[-1].startswith("one two three\n\n<small>slow")


@pytest.mark.parametrize("without", [["anywidget", "ipywidgets"]], indirect=True)
def test_without_widgets_there_is_text(without: Kernel) -> None:
    asked = without.start(f"answer = Chat(model={SLOW!r}).ask({WORDS!r})")
    without.until("its end", lambda: without.idle(asked))
    (shown,) = without.of(asked, "display_data")
    assert shown["content"]["data"].keys() == {"text/plain"}
    *written, last = [m["content"]["data"] for m in without.of(asked, "update_display_data")]
    growing = [data["text/plain"] for data in written]
    assert any(text and text != WORDS and WORDS.startswith(text) for text in growing)
    assert last["text/markdown"].startswith(f"{WORDS}\n\n<small>slow")
    assert "pip install" in without.run("Chat()")
    assert "2 of 2 answers" in without.run(f"ask_many(['a', 'b'], model={ECHO!r});")


def test_without_a_browser_answers_stand_as_text(
    mesh: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESH_URL", mesh.url)
    monkeypatch.setenv("MESH_USER", "nobody looks")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    v4: Any = nbformat.v4
    code = [
        "from mesh_client.notebook import Chat\n%load_ext mesh_client.notebook",
        f"Chat(model={SLOW!r}).ask('one two three')",
        f"%%mesh {ECHO}\nfour five",
        "Chat()",
    ]
    notebook = v4.new_notebook(cells=[v4.new_code_cell(text) for text in code])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    _, asked, magic, window = [cell.outputs for cell in notebook.cells]
    for outputs, text in ((asked, "one two three"), (magic, "four five")):
        (output,) = outputs
        assert output.data["text/markdown"].startswith(f"{text}\n\n<small>")
        assert output.data["text/plain"].startswith(text)
        assert WIDGET not in output.data
    assert "while its kernel runs" in window[-1].data["text/plain"]


def test_the_examples_of_the_guide_run(mesh: Mesh, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.M | re.S)
    assert len(blocks) == 2
    with kernel(tmp_path, MESH_URL=mesh.url, MESH_USER="reader") as found:
        for block in blocks:
            found.run(block)
        assert found.run("print(same.id == chat.id, answer.ended)") == "True True\n"
