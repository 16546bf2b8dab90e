"""What a service has to do as long as it runs: if that fails, the process says so and ends."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.fleet import READY, Fleet, fleet, wait_until

PLUG = """
import asyncio, importlib, sys
from mesh.cli.main import main
module, name, method, seconds = sys.argv[1:5]
async def broken(*_):
    await asyncio.sleep(float(seconds))
    raise RuntimeError("broken by a test")
broken.__qualname__ = name + "." + method
setattr(getattr(importlib.import_module(module), name), method, broken)
sys.argv[:5] = ["mesh"]
main()
"""
"""A service of which one part fails, some seconds after it was begun."""

GATEWAY = [
    "mesh.gateway.endings Endings.watch",
    "mesh.gateway.sweeper Sweeper.run",
    "mesh.gateway.usher Usher.run",
    "mesh.bus.follow Follower.watch",
]


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(tmp_path) as found:
        yield found


def begin(around: Fleet, part: str, seconds: float, *words: str) -> subprocess.Popen[str]:
    module, _, method = part.partition(" ")
    plug = [sys.executable, "-c", PLUG, module, *method.split("."), str(seconds)]
    return subprocess.Popen(
        [*plug, *words],
        env=around.environment,
        cwd=around.broker.data_dir.parent,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def ends(process: subprocess.Popen[str], task: str) -> None:
    """It has ended by itself, with its reason in the log and in its last line, and status 1."""
    try:
        _, said = process.communicate(timeout=READY)
    finally:
        process.kill()
        process.wait()
    name = task.rpartition(" ")[2]
    assert f"{name} failed; this process ends\nTraceback" in said
    assert "RuntimeError: broken by a test" in said
    assert said.splitlines()[-1].startswith(f"mesh: {name} failed")
    assert process.returncode == 1


@pytest.mark.parametrize("part", GATEWAY)
def test_a_gateway_ends(around: Fleet, part: str) -> None:
    ends(begin(around, part, 1.0, "gateway"), part)


@pytest.mark.parametrize(
    "part", ["mesh.store.follower Follower.run", "mesh.store.mirror Mirror.run"]
)
def test_a_store_ends(around: Fleet, part: str) -> None:
    around.gateway()
    ends(begin(around, part, 1.0, "store"), part)


def test_a_worker_ends_that_gets_no_prompts_any_more(around: Fleet) -> None:
    around.gateway()
    part = "mesh.bus.pull Puller.run"
    ends(begin(around, part, 1.0, "worker", "--worker-name", "w1", "--engine", "echo"), part)


def test_a_worker_that_cannot_write_ends_and_its_answer_goes_to_another(around: Fleet) -> None:
    around.gateway()
    part = "mesh.bus.frames FrameWriter._append"
    worker = begin(around, part, 0.0, "worker", "--worker-name", "w1", "--engine", "echo")
    health = around.health
    wait_until("w1 is there", lambda: (found := health()) is not None and found.workers == 1)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(
            httpx.post,
            f"{around.url}/generate",
            json={"prompt": "/repeat word", "params": {"max_tokens": 20}},
            timeout=READY,
        )
        ends(worker, "FrameWriter.run")
        around.begin("w2", "worker", "--worker-name", "w2", "--engine", "echo")
        text = asking.result().text
    assert text.rstrip().endswith('data: {"done":true,"total_tokens":20}'), text[-200:]
