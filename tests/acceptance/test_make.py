"""What a newcomer types: `make setup` and `make up`, in a fresh copy of the tree, and Ctrl-C."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.acceptance.whole import SERVICES, Mesh

ROOT = Path(__file__).parents[2]

OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
"""For pip, whose NO_BUILD_ISOLATION is said by 0: what is installed is this tree alone."""

GUARD = 300.0
"""Seconds for what takes a few, on a machine that has much else to do."""

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="needs make")


class Typed(Mesh):
    """A mesh that is started by `make up` in a tree, as from a terminal of its own."""

    def __init__(self, folder: Path, tree: Path) -> None:
        super().__init__(folder, engine="auto")
        self.tree = tree
        self.family: list[psutil.Process] = []
        ours = ("MAKE", "MFLAGS", "VENV", "PIP_", "PYTHON")  # those of who runs the tests
        kept = {name: of for name, of in self.environment.items() if not name.startswith(ours)}
        path = f"{Path(sys.executable).parent}:{kept['PATH']}"  # where the broker is
        self.environment = kept | OFFLINE | {"PYTHON": sys.executable, "PATH": path}

    def spawn(self, *words: str, output: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Start `make` with these words."""
        return subprocess.Popen(
            ["make", *words],
            env=self.environment,
            cwd=self.tree,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def setup(self) -> None:
        """`make setup`, to its end."""
        with self.spawn("setup") as process:
            assert process.wait(GUARD) == 0

    def descent(self) -> list[psutil.Process]:
        """All that came of `make up`."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def interrupt(self) -> None:
        """Ctrl-C: SIGINT for all that the terminal has in its foreground."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> None:
        super().end()
        for process in self.family:
            with suppress(psutil.NoSuchProcess):
                process.kill()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of this tree, without what is hidden or was built.

    Its environment is not made yet, but finds our dependencies, so that nothing is downloaded.
    """
    copy = tmp_path / "the mesh"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "build", "dist"))
    packages = Path(sysconfig.get_path("purelib"))
    beside = copy / ".venv" / packages.relative_to(sys.prefix)
    beside.mkdir(parents=True)
    (beside / "dependencies.pth").write_text(str(packages))
    return copy


@pytest.fixture
def mesh(tmp_path: Path, tree: Path) -> Iterator[Typed]:
    mesh = Typed(tmp_path, tree)
    yield mesh
    mesh.end()


def test_setup_then_up_answers_and_ctrl_c_ends_it_whole(mesh: Typed) -> None:
    mesh.setup()
    assert (mesh.tree / ".venv" / "bin" / "mesh").exists()
    mesh.launch()
    mesh.wait_for("The mesh is up", timeout=GUARD)
    assert "Installing" not in mesh.output, "that was done, once"
    mesh.family = mesh.descent()
    assert len(mesh.family) >= len(SERVICES)
    body = {"messages": [{"role": "user", "content": "Hello?"}], "max_tokens": 8}
    answer = httpx.post(f"{mesh.url}/v1/chat/completions", json=body, timeout=GUARD)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"]

    mesh.interrupt()
    assert mesh.process is not None
    mesh.process.wait(GUARD)
    assert not psutil.wait_procs(mesh.family, timeout=GUARD)[1], "nothing outlives it"
    assert "Stopping" in mesh.output and "Traceback" not in mesh.output
    left = {path.name for path in mesh.data_dir.rglob("*") if path.is_file()}
    assert not left & {"running.json", "nats.pid"}
