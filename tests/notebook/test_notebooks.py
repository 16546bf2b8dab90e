"""Every notebook of `notebooks/` runs from top to bottom, on a mesh as `make up` starts it."""

from collections.abc import Iterator

import nbformat
import pytest

from tools.notebooks import FOLDER, mesh, run

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with mesh(tmp_path_factory.mktemp("mesh")) as found:
        yield found


def cells(name: str) -> list[nbformat.NotebookNode]:
    notebook = nbformat.read(FOLDER / name, as_version=4)  # type: ignore[no-untyped-call]
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(found: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in found.cells for output in cell.get("outputs", [])]


@pytest.mark.parametrize("name", [path.name for path in NOTEBOOKS])
def test_a_notebook_runs_from_its_top(environment: dict[str, str], name: str) -> None:
    found = run(FOLDER / name, environment)
    assert not [output for output in outputs(found) if output.output_type == "error"]
    shown = [kind for output in outputs(found) for kind in output.get("data", {})]
    assert "text/markdown" in shown or "text/html" in shown
    assert "application/vnd.jupyter.widget-view+json" not in shown


@pytest.mark.parametrize("name", [path.name for path in NOTEBOOKS])
def test_a_notebook_is_committed_with_its_outputs_and_nothing_of_the_machine(name: str) -> None:
    code = cells(name)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    text = (FOLDER / name).read_text()
    for private in ("/home/", "/root/", "/tmp/", "/Users/", "site-packages", "widget-view"):
        assert private not in text, private
