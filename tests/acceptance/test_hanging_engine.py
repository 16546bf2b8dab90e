"""A worker whose engine hangs in a step for ever: it leaves all the same, and nothing is lost."""

import os
import subprocess
import sys
import time

import pytest

from mesh.cli.main import DRAINED
from tests.acceptance.conftest import Process, Processes
from tests.acceptance.reading import SLOW, Reading, said
from tests.truth import truth_of

TOKENS = 60
GIVEN = 10
"""Tokens of an answer behind which the engine hangs."""

LEAVING = 15.0
"""Seconds within which a worker has left, its grace of 0.3 s and a busy machine included."""


class Hanging(Process):
    module = "tests.acceptance.hanging"


def hanging(processes: Processes, deaf: bool, *flags: str) -> Hanging:
    """A worker `w1` of which nothing but the engine's thread hangs; deaf: its answer does, too."""
    env = processes.env | {"HANG_AFTER": str(GIVEN), "HANG_DEAF": "1" if deaf else ""}
    arguments = ["worker", "--worker-name", "w1", "--engine", "echo", *SLOW, *flags]
    started = Hanging("w1", arguments, env, processes.folder)
    processes.started.append(started)
    processes.await_workers(1)
    return started


def stuck_reading(processes: Processes) -> Reading:
    """A reader of an answer that has come as far as it comes at `w1`."""
    reading = Reading(processes.url, TOKENS)
    reading.start()
    reading.await_tokens(GIVEN)
    return reading


def another(processes: Processes) -> None:
    processes.worker("w2", *SLOW)
    processes.await_workers(2)


def finish(processes: Processes, reading: Reading) -> None:
    """It has gone on at the other worker as if nothing had been."""
    reading.finish()
    assert reading.texts == said(TOKENS)
    truth = truth_of(processes.broker)
    truth.check()
    assert list(truth.claims.values()) == [["w1", "w2"]]


@pytest.mark.parametrize("deaf", [False, True])
def test_a_worker_whose_engine_hangs_leaves_in_order(processes: Processes, deaf: bool) -> None:
    processes.gateway("--ack-wait", "30")
    stuck = hanging(processes, deaf, "--grace", "0.3")
    reading = stuck_reading(processes)
    another(processes)
    assert stuck.stop(LEAVING) == 0
    finish(processes, reading)


@pytest.mark.parametrize("deaf", [False, True])
def test_a_worker_whose_engine_hangs_can_be_drained(processes: Processes, deaf: bool) -> None:
    processes.gateway("--ack-wait", "30")
    stuck = hanging(processes, deaf)
    reading = stuck_reading(processes)
    another(processes)
    told = mesh(processes, "drain", "w1", "--grace", "0.3")
    assert told.returncode == 0, told.stderr
    assert stuck.popen.wait(LEAVING) == DRAINED
    finish(processes, reading)


def test_what_an_engine_hangs_on_passes_to_another_worker(processes: Processes) -> None:
    """Not even the engine's thread lets go of it, and the queue's patience is long."""
    processes.gateway("--ack-wait", "30")
    stuck = hanging(processes, True, "--stall-limit", "4")
    reading = stuck_reading(processes)
    stalled = time.monotonic()
    processes.worker("w2", *SLOW)
    reading.await_tokens(GIVEN + 1)
    assert time.monotonic() - stalled < 4 + 5
    finish(processes, reading)
    assert stuck.popen.wait(LEAVING) == 1


def test_an_engine_that_does_not_make_room_is_left(processes: Processes) -> None:
    """Its worker is to put its model away: it leaves, to be started again."""
    processes.gateway("--ack-wait", "30")
    stuck = hanging(processes, False, "--stall-limit", "6")
    reading = stuck_reading(processes)
    told = mesh(processes, "unload", "w1", "--grace", "0", "--no-wait")
    assert told.returncode == 0, told.stderr
    assert stuck.popen.wait(2 * LEAVING) == 1
    assert "The engine does not end" in stuck.log.read_text()
    processes.worker("w2", *SLOW)
    finish(processes, reading)


def mesh(processes: Processes, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mesh", *words],
        env=os.environ | processes.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
