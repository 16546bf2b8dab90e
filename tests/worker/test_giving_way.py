"""Threads that give way change nothing where they must not."""

import os
import sys
import threading
from collections.abc import Callable

import pytest

from mesh.worker.engines.giving_way import give_way

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is a policy of Linux")


def _in_a_thread(work: Callable[[], None]) -> int:
    """The policy of a thread that did something."""
    found: list[int] = []

    def run() -> None:
        work()
        found.append(os.sched_getscheduler(0))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_the_thread_gives_way_and_no_other() -> None:
    assert _in_a_thread(give_way) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_who_gave_way_more_than_that_goes_on_to() -> None:
    def run() -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        give_way()

    assert _in_a_thread(run) == os.SCHED_IDLE


def test_a_system_that_does_not_allow_it_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("mesh.worker.engines.giving_way.os.sched_setscheduler", refuse)
    assert _in_a_thread(give_way) == os.SCHED_OTHER
