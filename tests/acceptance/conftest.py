"""A mesh of real processes, each of which a test may kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.whole import Mesh
from tests.conftest import Broker, free_port

READY = 60.0
"""Seconds that a process may take to be ready on a busy machine."""


def until(what: str, holds: Callable[[], bool], seconds: float = READY) -> None:
    """Wait until something holds; fail, naming it, if it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            pytest.fail(f"{what}: not within {seconds:g} s")
        time.sleep(0.02)


class Process:
    """A service in a process of its own, its log in a file."""

    module = "mesh"

    def __init__(self, name: str, arguments: list[str], env: dict[str, str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._arguments = arguments
        self._env = env
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self.command(),
                env=self._env,
                stdout=log,
                stderr=log,
            )

    def command(self) -> list[str]:
        return [sys.executable, "-m", self.module, *self._arguments]

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.popen.kill()
        self.popen.wait()

    def send(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def stop(self, seconds: float = READY) -> int:
        """SIGTERM, then wait for the exit code."""
        if self.running:
            self.popen.terminate()
        return self.popen.wait(seconds)

    def end(self) -> None:
        """However it stands, it is gone afterwards."""
        if self.running:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.kill()
        self.popen.wait()


class Processes:
    """A broker, and around it whatever services a test starts."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.broker = broker
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = os.environ | {
            "MESH_DATA_DIR": str(broker.data_dir),
            "MESH_NATS": broker.url,
            "MESH_LOG_LEVEL": "debug",
        }
        self.started: list[Process] = []

    def process(self, name: str, *arguments: str) -> Process:
        process = Process(name, list(arguments), self.env, self.folder)
        self.started.append(process)
        return process

    def gateway(self, *flags: str) -> Process:
        """Start the gateway and wait until it answers."""
        process = self.process("gateway", "gateway", "--port", str(self.port), *flags)
        self.await_gateway()
        return process

    def second_gateway(self, *flags: str) -> tuple[Process, str]:
        """Start another gateway, `gw2`, and wait until it answers; with its URL."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        names = ("--gateway-name", "gw2", "--port", str(port))
        process = self.process("gw2", "gateway", *names, *flags)
        until("the second gateway answers", lambda: _answers(url))
        return process, url

    def store(self) -> Process:
        return self.process("store", "store")

    def worker(self, name: str, *flags: str) -> Process:
        """Start an echo worker; wait for it with `await_workers`."""
        arguments = ("worker", "--worker-name", name, "--engine", "echo", *flags)
        return self.process(name, *arguments)

    def await_gateway(self) -> None:
        until("the gateway answers", lambda: self.health() is not None)

    def await_workers(self, count: int) -> None:
        until(f"{count} workers are there", lambda: (self.health() or {}).get("workers") == count)

    def await_store(self) -> None:
        until("the store answers", lambda: (self.health() or {}).get("store") == "ok")

    def health(self) -> dict[str, object] | None:
        """What /v1/health says, or None while nobody answers."""
        try:
            found: dict[str, object] = httpx.get(f"{self.url}/v1/health", timeout=5.0).json()
        except httpx.TransportError:
            return None
        return found

    def end(self) -> None:
        for process in reversed(self.started):
            process.end()


def _answers(url: str) -> bool:
    try:
        httpx.get(f"{url}/v1/health", timeout=5.0)
    except httpx.TransportError:
        return False
    return True


@pytest.fixture
def processes(broker: Broker, tmp_path: Path) -> Iterator[Processes]:
    """A running broker, and nothing else yet. Logs of all processes in tmp_path."""
    found = Processes(broker, tmp_path)
    yield found
    found.end()


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Mesh]:
    """A mesh with the echo engine that is not started yet, and surely ended afterwards."""
    mesh = Mesh(tmp_path)
    yield mesh
    mesh.end()
