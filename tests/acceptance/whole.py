"""A whole mesh in real processes, as `mesh up` runs it, on free ports and a folder of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.conftest import free_port

SERVICES = ("broker", "store", "gateway", "worker")


class Mesh:
    """One `mesh up`, of the installation that `python` belongs to. `output` is what it printed."""

    def __init__(self, folder: Path, python: str = sys.executable, **settings: str) -> None:
        self.data_dir = folder / "mesh data"
        self.port = free_port()
        self.nats_port = free_port()
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("MESH_")
        } | {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "MESH_DATA_DIR": str(self.data_dir),
            "MESH_PORT": str(self.port),
            "MESH_NATS_PORT": str(self.nats_port),
            "MESH_ENGINE": "echo",
            **{f"MESH_{name.upper()}": value for name, value in settings.items()},
        }
        self._folder = folder
        self.prefix: tuple[str, ...] = ()
        """What stands before its command."""
        self._python = python
        self._log = folder / "mesh-up.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        return self._log.read_text()

    def start(self, *flags: str) -> None:
        """Start, and wait for the banner. Raises RuntimeError if it ends instead."""
        self.launch(*flags)
        self.wait_for("The mesh is up")

    def launch(self, *flags: str) -> None:
        with self._log.open("ab") as log:
            self.process = self.spawn("up", *flags, output=log.fileno())

    def spawn(self, *words: str, output: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Start another `mesh` command with the same settings."""
        return subprocess.Popen(
            [*self.prefix, self._python, "-m", "mesh", *words],
            env=self.environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run another `mesh` command to its end."""
        changed = {f"MESH_{name.upper()}": value for name, value in settings.items()}
        return subprocess.run(
            [self._python, "-m", "mesh", *words],
            env=self.environment | changed,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def children(self) -> dict[str, psutil.Process]:
        """The running services by name: broker, store, gateway, and worker (the first one)."""
        assert self.process is not None
        found: dict[str, psutil.Process] = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                words = child.cmdline()
            except psutil.NoSuchProcess:  # a zombie, or gone meanwhile
                continue
            if words and "nats-server" in words[0]:
                found["broker"] = child
            elif words[1:3] == ["-m", "mesh"]:
                found.setdefault(words[3], child)
        return found

    def wait_for(self, text: str, count: int = 1, timeout: float = 60.0) -> None:
        """Wait until `text` was printed so often."""
        self.wait_until(lambda: self.output.count(text) >= count, f"no {text!r}", timeout)

    def wait_until(
        self, condition: Callable[[], bool], otherwise: str, timeout: float = 60.0
    ) -> None:
        """Wait for a condition while `mesh up` runs; raises RuntimeError with what it printed."""
        assert self.process is not None
        until = time.monotonic() + timeout
        while not condition():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{otherwise}:\n{self.output}")
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it in good order; returns the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def end(self) -> None:
        """However it stands, it is gone afterwards."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
