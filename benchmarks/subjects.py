"""What is measured, each in processes of its own: a whole mesh, the bare app, an engine alone.

Each is a context manager that starts it, waits until it is ready, and ends it. `standalone` is for
a benchmark that is run by itself.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec

from benchmarks.direct import Direct
from benchmarks.report import Aim, aims_table
from mesh.cli.load.figures import Figures
from mesh.cli.load.processes import of_mesh
from mesh.cli.load.question import REPEAT
from mesh.cli.ports import free_port

READY = 60.0
"""Seconds that a subject may take to be ready."""

LEAVE = 30.0
"""Seconds that it may take to end."""

LONG = 300.0
"""Seconds that one load may take, all in all."""

STORY = "Tell me a story about a fox and a lake."

ROOT = Path(__file__).resolve().parent.parent
"""Data folders are made here: a temporary folder may be in memory, where nothing is stored."""


class Target(NamedTuple):
    """An HTTP server under load, and the processes whose expense is counted, by kind."""

    url: str
    pids: Mapping[str, Sequence[int]]

    def load(self, streams: int, seconds: float, tokens: int, prompt: str = REPEAT) -> Figures:
        """Put a load on it, from a client in a process of its own."""
        command = [sys.executable, "-m", "mesh", "bench", "--json", "--url", self.url]
        command += ["--streams", str(streams), "--seconds", str(seconds), "--tokens", str(tokens)]
        command += ["--echo"] if prompt == REPEAT else ["--prompt", prompt]
        for kind, pids in self.pids.items():
            for pid in pids:
                command += ["--watch", f"{kind}={pid}"]
        said = subprocess.run(command, stdout=subprocess.PIPE, timeout=LONG)
        return msgspec.json.decode(said.stdout, type=Figures)


class Alone:
    """An engine that is called directly."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def load(self, streams: int, seconds: float) -> Direct:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(b"%d %f\n" % (streams, seconds))
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=Direct)


def standalone(measure: Callable[[Path], Sequence[Aim]]) -> int:
    """Measure one thing in a folder of its own, and print what was to be reached.

    Returns the status to exit with: 0 if it was.
    """
    with TemporaryDirectory(prefix=".bench-", dir=ROOT) as folder:
        aims = measure(Path(folder))
    print(f"\n{aims_table(aims)}")
    return 0 if all(aim.reached for aim in aims) else 1


@contextmanager
def mesh(folder: Path, name: str, env: Mapping[str, str]) -> Iterator[Target]:
    """A whole mesh with one worker, whose settings are in `env`."""
    port, data = free_port(), folder / name
    settings = {
        "MESH_DATA_DIR": str(data),
        "MESH_PORT": str(port),
        "MESH_NATS_PORT": str(free_port()),
        "MESH_GRACE": "1",
        "MESH_LOG_LEVEL": "warning",
        **env,
    }
    url = f"http://127.0.0.1:{port}"
    log = folder / f"{name}.log"
    with _process(["mesh", "up"], settings, log) as process:
        _await(process, log, lambda: _has_worker(url))
        yield Target(url, of_mesh(process.pid))


@contextmanager
def bare(folder: Path, rate: float) -> Iterator[Target]:
    """The bare app, at so many tokens per second and stream (0: no limit)."""
    port, log = free_port(), folder / f"bare-{rate:g}.log"
    with _process(["benchmarks.bare", str(port), str(rate)], {}, log) as process:
        _await(process, log, lambda: _listens(port))
        yield Target(f"http://127.0.0.1:{port}", {"bare": [process.pid]})


@contextmanager
def alone(folder: Path, engine: str, prompt: str, tokens: int) -> Iterator[Alone]:
    """An engine in a process of its own, on one thread, with its first answer behind it."""
    log = folder / f"alone-{engine}.log"
    arguments = ["benchmarks.direct", engine, prompt, str(tokens)]
    with _process(arguments, {"MESH_THREADS": "1"}, log, stdout=subprocess.PIPE) as process:
        found = Alone(process)
        found.load(1, 0)
        yield found


@contextmanager
def _process(
    arguments: Sequence[str], env: Mapping[str, str], log: Path, stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env=os.environ | env,
            stdin=subprocess.PIPE,
            stdout=stdout or output,
            stderr=output,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(LEAVE)
            finally:
                process.kill()
                process.communicate()


def _await(process: subprocess.Popen[bytes], log: Path, ready: Callable[[], bool]) -> None:
    until = time.monotonic() + READY
    while not ready():
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"This did not start: {process.args!r}\n{log.read_text()[-2000:]}")
        time.sleep(0.1)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def _has_worker(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/v1/health", timeout=2) as response:
            health = json.loads(response.read())
    except OSError:
        return False
    return bool(health["status"] == "ok" and health["workers"])
