"""How soon a request goes on when its worker is gone."""

import time

import pytest

from tests.acceptance.conftest import Process, Processes, until
from tests.acceptance.reading import SLOW, Reading, holder, said
from tests.truth import truth_of

PATIENCE = "30"
"""Seconds of the queue's patience: much longer than any of these tests takes."""


@pytest.fixture
def workers(processes: Processes) -> dict[str, Process]:
    """A gateway and two slow echo workers, with a very patient queue."""
    processes.gateway("--ack-wait", PATIENCE)
    found = {name: processes.worker(name, *SLOW) for name in ("w1", "w2")}
    processes.await_workers(2)
    return found


def test_the_brokers_word_of_a_death_moves_its_requests_at_once(
    processes: Processes, workers: dict[str, Process]
) -> None:
    readings = [Reading(processes.url, 200) for _ in range(6)]
    for reading in readings:
        reading.start()
    for reading in readings:
        reading.await_tokens(20)
    began = time.monotonic()
    workers["w1"].kill()
    for reading in readings:
        reading.finish()
        assert reading.texts == said(200)
    assert time.monotonic() - began < 10, "as if nobody had told"
    truth = truth_of(processes.broker)
    truth.check()
    assert {claims[-1] for claims in truth.claims.values()} == {"w2"}
    assert max(len(claims) for claims in truth.claims.values()) == 2


def test_a_gateway_that_was_restarted_hears_of_deaths_as_well(
    processes: Processes, workers: dict[str, Process]
) -> None:
    gateway = processes.started[0]
    reading = Reading(processes.url, 300, key="mine")
    reading.start()
    reading.await_tokens(10)
    first = holder(processes, workers)
    gateway.kill()
    gateway.start()
    processes.await_gateway()
    until("it took it back", lambda: "Took back 1" in gateway.log.read_text())
    first.kill()
    began = time.monotonic()

    def ended() -> bool:
        return all(run.end for run in truth_of(processes.broker).runs.values())

    until("it has an end", ended, 15)
    assert time.monotonic() - began < 15
    truth_of(processes.broker).check()
