"""Run the notebooks on a mesh of their own, and keep their outputs.

    python -m tools.notebooks            # all of them
    python -m tools.notebooks 2-many     # those whose names begin so

Nothing of the machine they were run on is kept: no address but the default one, no folder, no
state of widgets. A notebook with an error is not written.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
READY, PATIENCE = 120.0, 180
"""Seconds that a mesh may take to be up, and a cell to end."""
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
DEFAULT = "http://127.0.0.1:8000"


@contextmanager
def mesh(folder: Path) -> Iterator[dict[str, str]]:
    """`mesh up` with the bundled model, on any ports; gives what a notebook's environment needs."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MESH_")} | {
        "MESH_DATA_DIR": str(folder / "data"),
        "MESH_PORT": str(_free_port()),
        "MESH_NATS_PORT": str(_free_port()),
        "MESH_USER": "ada",
        "XDG_CONFIG_HOME": str(folder),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
    environment["MESH_NATS"] = f"nats://127.0.0.1:{environment['MESH_NATS_PORT']}"
    environment["MESH_URL"] = f"http://127.0.0.1:{environment['MESH_PORT']}"
    log = folder / "mesh.log"
    with log.open("wb") as output:
        up = subprocess.Popen(
            [sys.executable, "-m", "mesh", "up"], env=environment, stdout=output, stderr=output
        )
    try:
        _await(up, environment["MESH_URL"], log)
        yield environment
    finally:
        up.terminate()
        up.wait()


def run(path: Path, environment: dict[str, str]) -> Any:
    """Execute a notebook from its top; returns it with its outputs. Raises CellExecutionError."""
    read: Any = nbformat.read
    notebook = read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=PATIENCE,
        kernel_name="python3",
        store_widget_state=False,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute(env=os.environ | environment)
    return cleaned(notebook)


def cleaned(notebook: Any) -> Any:
    """A notebook without what only the machine knows that it was run on."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            _clean(output)
    return notebook


def _clean(output: Any) -> None:
    """One address in place of any; without what widgets leave for a page that is not there."""
    if "text" in output:
        output["text"] = ADDRESS.sub(DEFAULT, output["text"])
    data = output.get("data", {})
    data.pop("application/vnd.jupyter.widget-view+json", None)
    for kind, value in data.items():
        if isinstance(value, str) and kind.startswith("text/"):
            data[kind] = ADDRESS.sub(DEFAULT, value)


def _await(up: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + READY
    while True:
        try:
            if httpx.get(f"{url}/v1/health", timeout=3).status_code == 200:
                return
        except httpx.TransportError:
            pass
        if up.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"The mesh does not come up:\n{log.read_text()}")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def main(*names: str) -> None:
    paths = sorted(FOLDER.glob("*.ipynb"))
    chosen = [p for p in paths if not names or p.name.startswith(names)]
    with tempfile.TemporaryDirectory() as folder, mesh(Path(folder)) as environment:
        for path in chosen:
            began = time.monotonic()
            write: Any = nbformat.write
            write(run(path, environment), path)
            print(f"{path.name}: {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
