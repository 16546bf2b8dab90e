"""Runs a service of the mesh with an accent, and, for a negative control, without a mechanism.

    python -m tests.chaos.service [--without MECHANISM] worker --worker-name w1 ...

The accent: each worker process says every word of the echo engine in its own way, so that a piece
which it wrote when it was no longer its turn is seen to be wrong. SIGUSR1 sets the process's clock
forward or back, by what MESH_CHAOS_CLOCK names, in seconds, SIGUSR2 by an hour; MESH_CHAOS_AHEAD
says by how many seconds it is ahead when the process begins. All else is the product.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from itertools import islice

from mesh.cli.main import main
from mesh.worker.engines import echo
from mesh.worker.engines.base import Job
from tests.chaos.controls import CONTROLS

HOUR = 3600.0


def accented(job: Job) -> Iterator[str]:
    """The tokens of the echo after the job's prefix, whatever accent that has."""
    said = len(echo.tokens(job.prefix_text))
    words = islice(echo.say(job.messages), said, None)
    return (f"{word.strip()}~{os.getpid()} " for word in words)


def let_the_clock_be_set() -> None:
    offset, hour, real = float(os.environ.get("MESH_CHAOS_AHEAD", "0")), 0.0, time.time

    def step(*_: object) -> None:
        nonlocal offset
        offset = float(os.environ["MESH_CHAOS_CLOCK"]) - offset

    def step_by_an_hour(*_: object) -> None:
        nonlocal hour
        hour = HOUR - hour

    signal.signal(signal.SIGUSR1, step)
    signal.signal(signal.SIGUSR2, step_by_an_hour)
    time.time = lambda: real() + offset + hour


def run(words: list[str]) -> None:
    while words[:1] == ["--without"]:
        CONTROLS[words[1]]()
        words = words[2:]
    echo._rest = accented
    let_the_clock_be_set()
    sys.argv = ["mesh", *words]
    main()


if __name__ == "__main__":
    run(sys.argv[1:])
