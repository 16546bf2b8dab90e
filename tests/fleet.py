"""Services in processes of their own around a test's broker, each started and ended by name."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
from msgspec import Struct

from tests.conftest import Broker, free_port

READY = 60.0
"""Seconds that a process may take to be ready on a busy machine."""


class Health(Struct):
    """What /v1/health says."""

    broker: str
    store: str
    workers: int


def wait_until(what: str, holds: Callable[[], bool], seconds: float = READY) -> None:
    """Wait until something holds; raise AssertionError, naming it, if it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)


class Fleet:
    """A broker, and whatever services a test starts beside it."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.broker = broker
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("MESH_")
        } | {
            "MESH_DATA_DIR": str(broker.data_dir),
            "MESH_NATS": broker.url,
            "MESH_PORT": str(self.port),
            "XDG_CONFIG_HOME": str(folder),
            "NO_COLOR": "1",
        }
        self._folder = folder
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def gateway(self, *flags: str) -> None:
        """Start the gateway and wait until it answers."""
        self.begin("gateway", "gateway", *flags)
        wait_until("the gateway answers", lambda: self.health() is not None)

    def store(self) -> None:
        """Start the store and wait until it answers; the gateway has to be there."""
        self.begin("store", "store")
        wait_until("the store answers", lambda: self._health().store == "ok")

    def worker(self, name: str, *flags: str) -> None:
        """Start an echo worker and wait until the gateway has heard of one more."""
        before = self._health().workers
        self.begin(name, "worker", "--worker-name", name, "--engine", "echo", *flags)
        wait_until(f"{name} is there", lambda: self._health().workers > before)

    def kill(self, name: str) -> None:
        """kill -9, and wait until it is gone."""
        process = self._started.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> int:
        """SIGTERM, and the exit status."""
        process = self._started.pop(name)
        process.terminate()
        return process.wait(READY)

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run another `mesh` command to its end."""
        changed = {f"MESH_{name.upper()}": value for name, value in settings.items()}
        return subprocess.run(
            [sys.executable, "-m", "mesh", *words],
            env=self.environment | changed,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def spawn(self, *words: str) -> subprocess.Popen[bytes]:
        """Start another `mesh` command; whoever asked for it ends it."""
        return subprocess.Popen(
            [sys.executable, "-m", "mesh", *words],
            env=self.environment,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def health(self) -> Health | None:
        """What the gateway says of itself, or None while nobody answers."""
        try:
            answer = httpx.get(f"{self.url}/v1/health", timeout=5.0)
        except httpx.TransportError:
            return None
        return msgspec.json.decode(answer.content, type=Health)

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()

    def end(self) -> None:
        """Nothing that was started is left."""
        for name in reversed(list(self._started)):
            self.kill(name)

    def _health(self) -> Health:
        return self.health() or Health("unavailable", "unavailable", 0)

    def begin(self, name: str, *words: str) -> None:
        """Start a service and wait for nothing."""
        with (self._folder / f"{name}.log").open("ab") as log:
            self._started[name] = subprocess.Popen(
                [sys.executable, "-m", "mesh", *words],
                env=self.environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )


@contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """A running broker and nothing else yet; all of it ended afterwards."""
    data = folder / "mesh data"
    data.mkdir(mode=0o700)
    broker = Broker(data)
    broker.start()
    found = Fleet(broker, folder)
    try:
        yield found
    finally:
        found.end()
        broker.kill()
