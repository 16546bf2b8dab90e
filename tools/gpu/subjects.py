"""What is measured, each in processes of its own: the bare loop, and a mesh with GPU workers.

With `standin` there is no GPU: for trying this tool itself.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks.subjects import Alone, Target
from mesh.cli.enrol import BrokerFolder
from mesh.cli.ports import free_port

READY = 900.0
"""Seconds that loading a large model may take."""
STEP = "0.002"
"""Seconds of a step of the stand-in."""


class Worker(NamedTuple):
    name: str
    process: subprocess.Popen[bytes]


class Mesh(NamedTuple):
    """Broker, gateway and workers. `target` is for loads, `operator` a broker user and password."""

    url: str
    broker: str
    operator: tuple[str, str]
    workers: list[Worker]

    @property
    def target(self) -> Target:
        return Target(self.url, {})


class Machine:
    """Starts what is measured. folder: for logs and data; settings: of all workers."""

    def __init__(self, folder: Path, settings: Mapping[str, str], standin: bool) -> None:
        self._folder = folder
        self._settings = dict(settings)
        self._standin = standin

    @contextmanager
    def bare(self, model: Path, prompt: str, tokens: int) -> Iterator[Alone]:
        """The bare loop, with its first answer behind it."""
        with ExitStack() as opened:
            process = opened.enter_context(
                self._process("bare", ["tools.gpu.bare", prompt, str(tokens)], model, piped=True)
            )
            found = Alone(process)
            found.load(1, 0)
            yield found

    @contextmanager
    def mesh(self, model: Path, workers: int) -> Iterator[Mesh]:
        """A mesh whose workers serve the model; each has a GPU of its own, if there are several."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        self._settings |= {
            "MESH_DATA_DIR": str(self._folder / f"data-{port}"),
            "MESH_PORT": str(port),
            "MESH_NATS_PORT": str(free_port()),
        }
        with ExitStack() as opened:
            up = ["mesh", "up", "--workers", "0"]
            running = [opened.enter_context(self._process("up", up, model))]
            self._await(lambda: self._health(url) is not None, running)
            started = []
            for number in range(1, workers + 1):
                name = f"gpu{number}"
                program = "tests.worker.exl2.standin" if self._standin else "mesh"
                command = [program, "worker", "--worker-name", name]
                process = self._process(name, command, model, gpu=number - 1)
                started.append(Worker(name, opened.enter_context(process)))
            running += [worker.process for worker in started]
            self._await(lambda: self._health(url) == workers, running)
            operator = BrokerFolder(Path(self._settings["MESH_DATA_DIR"])).credential("operator")
            broker = f"nats://127.0.0.1:{self._settings['MESH_NATS_PORT']}"
            yield Mesh(url, broker, operator, started)

    @contextmanager
    def _process(
        self, name: str, arguments: list[str], model: Path, piped: bool = False, gpu: int = 0
    ) -> Iterator[subprocess.Popen[bytes]]:
        environment = os.environ | self._settings | {"MESH_MODEL": str(model)}
        if self._standin:
            environment |= {"STANDIN": "1", "STANDIN_STEP": STEP}
        else:
            environment |= {"CUDA_VISIBLE_DEVICES": _visible(gpu)}
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=environment,
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
            )
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _health(self, url: str) -> object:
        """How many workers there are, None while nobody answers."""
        try:
            return httpx.get(f"{url}/v1/health", timeout=2.0).json().get("workers")
        except (httpx.TransportError, ValueError):
            return None

    def _await(self, holds: Callable[[], bool], running: Sequence[subprocess.Popen[bytes]]) -> None:
        """Wait until it holds, unless one of these processes ends first."""
        until = time.monotonic() + READY
        while not holds():
            if any(process.poll() is not None for process in running):
                raise RuntimeError(f"a process has ended; its log is in {self._folder}")
            if time.monotonic() > until:
                raise TimeoutError(f"not ready; see the logs in {self._folder}")
            time.sleep(0.1)


def _visible(gpu: int) -> str:
    """The one GPU, or of several the one with that number."""
    import torch

    return str(gpu % max(1, torch.cuda.device_count()))
