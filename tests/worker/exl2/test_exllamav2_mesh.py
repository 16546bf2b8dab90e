"""ExLlamaV2 workers in a real mesh: real processes, a real broker, the real generator."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path

import pytest

from mesh.cli.main import CONFIGURATION
from tests.acceptance.conftest import Process, Processes, until
from tests.acceptance.reading import Reading, holder
from tests.conftest import Broker
from tests.truth import truth_of
from tests.worker.chain_model import ALPHABET
from tests.worker.exl2 import folders

ROOT = Path(__file__).parents[3]


class Worker(Process):
    """`mesh worker`, with the stand-ins in place."""

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "tests.worker.exl2.standin", *self._arguments],
                env=self._env,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )


@pytest.fixture
def processes(broker: Broker, tmp_path: Path) -> Iterator[Processes]:
    found = Processes(broker, tmp_path)
    found.env = os.environ | found.env
    yield found
    found.end()


def worker(processes: Processes, name: str, model: Path, step: float = 0.0) -> Worker:
    arguments = ["worker", "--worker-name", name, "--model", str(model)]
    env = processes.env | {"STANDIN_STEP": str(step)}
    started = Worker(name, arguments, env, processes.folder)
    processes.started.append(started)
    return started


def await_workers(processes: Processes, count: int) -> None:
    """Importing PyTorch takes its time on a busy machine."""

    def there() -> bool:
        return (processes.health() or {}).get("workers") == count

    until(f"{count} workers are there", there, 60)


def alphabet(count: int) -> str:
    return "".join(islice(cycle(ALPHABET), count))


def test_a_worker_answers_through_the_mesh(processes: Processes, chain: Path) -> None:
    processes.gateway()
    started = worker(processes, "w1", chain)
    await_workers(processes, 1)
    reading = Reading(processes.url, 40, prompt="Say A")
    reading.start()
    reading.finish()
    assert "".join(reading.texts) == alphabet(40)
    assert reading.last == {"done": True, "total_tokens": 40}
    truth_of(processes.broker).check()
    assert started.stop() == 0
    log = started.log.read_text()
    assert "chain (16 bits) needs" in log
    assert "pip install flash-attn" in log


def test_a_killed_worker_s_answers_go_on_in_another_as_if_nothing_had_been(
    processes: Processes, chain: Path
) -> None:
    processes.gateway()
    workers: dict[str, Process] = {
        name: worker(processes, name, chain, step=0.01) for name in ("w1", "w2")
    }
    await_workers(processes, 2)
    reading = Reading(processes.url, 300, prompt="Say A")
    reading.start()
    reading.await_tokens(20)
    holder(processes, workers).kill()
    reading.finish()
    assert "".join(reading.texts) == alphabet(300)
    truth = truth_of(processes.broker)
    truth.check()
    assert [len(claims) for claims in truth.claims.values()] == [2]


def test_a_broken_gpu_ends_its_worker_and_loses_no_answer(
    processes: Processes, chain: Path
) -> None:
    processes.gateway()
    processes.env["STANDIN_FAULT"] = "CUDA error: an illegal memory access was encountered"
    faulty = worker(processes, "w1", chain, step=0.01)
    await_workers(processes, 1)
    reading = Reading(processes.url, 100, prompt="Say A")
    reading.start()
    reading.await_tokens(10)
    del processes.env["STANDIN_FAULT"]
    worker(processes, "w2", chain)
    reading.finish()
    assert "".join(reading.texts) == alphabet(100)
    until("the worker with the broken GPU has left", lambda: not faulty.running)
    assert faulty.popen.wait() == 1
    assert "an illegal memory access" in faulty.log.read_text()
    truth_of(processes.broker).check()


@pytest.mark.parametrize("fault", ["CUDA out of memory. Tried to allocate 2 GiB", "boom"])
def test_a_failed_step_loses_no_answer(processes: Processes, chain: Path, fault: str) -> None:
    """The worker goes on with a new generator, and with what was in the step."""
    processes.gateway()
    processes.env["STANDIN_FAULT"] = fault
    only = worker(processes, "w1", chain)
    await_workers(processes, 1)
    reading = Reading(processes.url, 100, prompt="Say A")
    reading.start()
    reading.finish()
    assert "".join(reading.texts) == alphabet(100)
    assert fault in only.log.read_text() and only.running
    truth = truth_of(processes.broker)
    truth.check()
    assert [len(claims) for claims in truth.claims.values()] == [2]


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "no tokenizer": (lambda p: (p / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    "half its weights": (
        lambda p: (p / "model.safetensors").write_bytes(b"x" * 99),
        "is not a safetensors file",
    ),
    "too large": (
        lambda p: (p / "config.json").write_text(
            (p / "config.json").read_text().replace('_layers": 2', '_layers": 2000000')
        ),
        "a model of fewer bits",
    ),
}


@pytest.mark.parametrize("name", list(SPOILT))
def test_a_model_that_cannot_be_served_is_never_there(
    processes: Processes, tmp_path: Path, name: str
) -> None:
    spoil, sentence = SPOILT[name]
    path = folders.write(tmp_path / "spoilt")
    spoil(path)
    processes.gateway()
    until("the gateway is there", lambda: processes.health() is not None)
    started = worker(processes, "w1", path)
    assert started.popen.wait(90) == CONFIGURATION
    log = started.log.read_text()
    assert sentence in log and "Traceback" not in log
    assert (processes.health() or {})["workers"] == 0
