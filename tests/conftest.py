"""What every test may ask for: above all a real broker, started from nats.conf as shipped."""

import atexit
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from mesh.cli import broker as process
from mesh.cli.enrol import ROLES, BrokerFolder, Credential

KEPT = 500
"""Ports that are kept from others: more than any test has at a time, and few of all there are."""

_given: deque[int] = deque()


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on now, and that no other process
    of tests is given until this one has had many more: from choosing it to listening on it, and
    from one start of a service to the next, seconds may pass on a busy machine."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _given and _reserve(port):
            _given.append(port)
            if len(_given) > KEPT:
                fcntl.lockf(_ports(), fcntl.LOCK_UN, 1, _given.popleft())
            return port


def _reserve(port: int) -> bool:
    """Whether it is ours now, and no other process's, until that is taken back or we end."""
    try:
        fcntl.lockf(_ports(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@cache
def _ports() -> int:
    """An empty file of which each process of tests locks the bytes that are its ports.

    Open as long as the process lives: closing it once would give all of them back.
    """
    path = Path(tempfile.gettempdir(), f"mesh-test-ports-{os.getuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


@cache
def watchdog() -> int:
    """Where to tell a watchdog which process groups to end when this process is gone."""
    dog = subprocess.Popen(
        [sys.executable, "-m", "mesh.cli.watchdog"], stdin=subprocess.PIPE, start_new_session=True
    )
    atexit.register(dog.communicate)
    assert dog.stdin is not None
    return dog.stdin.fileno()


class Broker:
    """A nats-server of one's own, on a free port and a folder that goes away with the test."""

    host = "127.0.0.1"

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.folder = BrokerFolder(data_dir)
        self.prefix: tuple[str, ...] = ()
        """What stands before its command."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://{self.host}:{self.port}"

    def credentials(self, user: str) -> Credential:
        """Name and password of gateway, store or operator, or of a worker, enrolled if need be."""
        if user in ROLES:
            return self.folder.credential(user)
        return process.admit(self.folder, [self.url], user)

    def start(self) -> None:
        """Start, or start again on the same folder and port, and wait until it listens."""
        secrets = self.folder.prepare()
        command = process.command(process.find(), self.folder, self.host, self.port)
        command = [*self.prefix, *command]
        environment = os.environ | process.environment(secrets)
        with process.running_mark(self.folder) as mark, self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdout=log,
                stderr=log,
                pass_fds=[mark],
                start_new_session=True,
            )
        os.write(watchdog(), f"+{self._process.pid}\n".encode())
        operator = self.folder.credential("operator")
        self._wait(lambda: process.accepts(self.host, self.port, operator))

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def pause(self) -> None:
        """Let it stand still, its connections open; it does when this returns."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)  # all its threads: one may answer yet

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            os.write(watchdog(), f"-{self._process.pid}\n".encode())
            self._process = None

    @property
    def log(self) -> Path:
        return self.data_dir / "nats-server.log"

    def _wait(self, ready: Callable[[], bool], timeout: float = 60.0) -> None:
        until = time.monotonic() + timeout
        while not ready():
            dead = self._process is None or self._process.poll() is not None
            if dead or time.monotonic() > until:
                raise RuntimeError(f"the broker is not ready:\n{self.log.read_text()}")
            time.sleep(0.01)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running broker with the users of nats.conf; workers are enrolled by `credentials`."""
    broker = Broker(tmp_path / "mesh data")
    broker.data_dir.mkdir()
    broker.start()
    yield broker
    broker.kill()
