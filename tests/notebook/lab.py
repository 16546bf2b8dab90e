"""A Jupyter server of one's own and its notebooks, as a person has them in a browser."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import nbformat
from playwright.sync_api import Page

from tests.conftest import free_port
from tests.fleet import wait_until
from tests.notebook.kernels import spec

TOKEN = "of-this-test-alone"

SETTINGS = {
    "@jupyterlab/apputils-extension/notification": '{"fetchNews": "false"}',
}


LOOK = 400
"""Milliseconds between two looks at whether a cell runs."""


class Lab:
    """A running server; `kind` of page: `doc/tree` is JupyterLab's, `notebooks` Notebook 7's."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.root = folder / "notebooks"
        self.root.mkdir()
        self._port = free_port()
        self._log = folder / "jupyter.log"
        self._data = folder / "data"
        self._settings = settings = folder / "settings"
        for name, text in SETTINGS.items():
            self.set(name, text)
        own = {
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_DATA_DIR": str(self._data),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(settings),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "IPYTHONDIR": str(folder / "ipython"),
            "XDG_CONFIG_HOME": str(folder),
        }
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        command += [f"--ServerApp.port={self._port}", f"--IdentityProvider.token={TOKEN}"]
        command += [f"--ServerApp.root_dir={self.root}", "--ServerApp.port_retries=0"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=os.environ | own | environment, stdout=log, stderr=log
            )
        wait_until("the Jupyter server answers", self._answers, seconds=60)

    def set(self, name: str, text: str) -> None:
        """Change a user's settings, for pages that are opened afterwards."""
        path = self._settings / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def write(self, name: str, *cells: str, kernel: str = "python3") -> None:
        """Write a notebook of code cells."""
        notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],  # type: ignore[no-untyped-call]
            metadata={"kernelspec": {"name": kernel, "display_name": kernel}},
        )
        nbformat.write(notebook, self.root / name)  # type: ignore[no-untyped-call]

    def add_kernel(self, version: str) -> str:
        """Offer another ipykernel; returns the name that it has."""
        name = f"ipykernel-{version}"
        folder = self._data / "kernels" / name
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(spec(name, version))
        return name

    def outputs(self, name: str) -> list[dict[str, object]]:
        """The outputs of a saved notebook, of all cells."""
        notebook = nbformat.read(self.root / name, as_version=4)  # type: ignore[no-untyped-call]
        return [output for cell in notebook.cells for output in cell.get("outputs", [])]

    def url(self, name: str, kind: str = "doc/tree") -> str:
        return f"http://127.0.0.1:{self._port}/{kind}/{name}?token={TOKEN}"

    def end_kernels(self) -> None:
        """Nothing runs any more, and will not start by itself."""
        with httpx.Client(
            base_url=f"http://127.0.0.1:{self._port}", params={"token": TOKEN}, timeout=60
        ) as http:
            for session in http.get("/api/sessions").json():
                http.delete(f"/api/sessions/{session['id']}").raise_for_status()

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            answer = httpx.get(f"http://127.0.0.1:{self._port}/api", timeout=2)
        except httpx.TransportError:
            return False
        return answer.status_code == 200


@contextmanager
def lab(folder: Path, **environment: str) -> Iterator[Lab]:
    """A server, ended afterwards with all its kernels."""
    found = Lab(folder, environment)
    try:
        yield found
    finally:
        found.end_kernels()
        found.close()


def ready(page: Page) -> None:
    """Wait until the notebook is there and its kernel has nothing to do."""
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.wait_for_selector(
        ".jp-Notebook-ExecutionIndicator[data-status='idle'], "
        ".jp-NotebookKernelStatus:has-text('Idle')",
        timeout=60_000,
        state="attached",
    )


def run(page: Page, cell: int) -> None:
    """Run a cell, by number from 0, without waiting for its end.

    A page that is still connecting to its kernel takes it, and drops it again: look twice.
    """
    found = page.locator(".jp-Notebook .jp-Cell").nth(cell)
    prompt = found.locator(".jp-InputPrompt")
    end = time.monotonic() + 90
    while True:
        if prompt.inner_text().strip() != "[ ]:":
            page.wait_for_timeout(LOOK)
            if prompt.inner_text().strip() != "[ ]:":
                return
        assert time.monotonic() < end, "the cell does not run"
        found.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(LOOK)


def finish(page: Page, cell: int) -> None:
    """Run a cell to its end."""
    prompt = page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-InputPrompt")
    end = time.monotonic() + 90
    while not re.fullmatch(r"\[\d+\]:", prompt.inner_text().strip()):
        assert time.monotonic() < end, "the cell does not end"
        run(page, cell)


def save(page: Page) -> None:
    """Save, and wait until it is."""
    with page.expect_response(lambda r: r.request.method == "PUT" and ".ipynb" in r.url):
        page.keyboard.press("Control+s")
