"""How soon a request goes on when its worker is gone."""

import time
from contextlib import suppress

import httpx
import pytest

from tests.acceptance.conftest import Process, Processes, until
from tests.acceptance.reading import SLOW, Reading, holder, said
from tests.truth import truth_of

PATIENCE = "300"
"""Seconds of the queue's patience: much longer than any of these tests takes."""

LONG = 20_000
"""Tokens of an answer that is still being written when a test has ended."""


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
    readings = [Reading(processes.url, 600) for _ in range(6)]
    for reading in readings:
        reading.start()
    for reading in readings:
        reading.await_tokens(20)
    workers["w1"].kill()
    for reading in readings:
        reading.finish()  # within a minute: as if nobody had told it takes five
        assert reading.texts == said(600)
    truth = truth_of(processes.broker)
    truth.check()
    assert {claims[-1] for claims in truth.claims.values()} == {"w2"}
    assert max(len(claims) for claims in truth.claims.values()) == 2


def test_a_gateway_that_was_restarted_hears_of_deaths_as_well(
    processes: Processes, workers: dict[str, Process]
) -> None:
    gateway = processes.started[0]
    first = holder_of_a_long_answer(processes, workers)
    gateway.kill()
    gateway.start()
    processes.await_gateway()
    until("it took it back", lambda: "Took back 1" in gateway.log.read_text())
    first.kill()
    the_other_goes_on(processes, first)


def test_a_gateway_that_was_restarted_finds_out_who_died_meanwhile(
    processes: Processes, workers: dict[str, Process]
) -> None:
    gateway = processes.started[0]
    first = holder_of_a_long_answer(processes, workers)
    gateway.kill()
    first.kill()
    gateway.start()
    processes.await_gateway()
    the_other_goes_on(processes, first)


def holder_of_a_long_answer(processes: Processes, workers: dict[str, Process]) -> Process:
    """Begin an answer that takes longer than all else; the worker that writes it."""
    reading = Reading(processes.url, LONG, key="mine")
    reading.start()
    reading.await_tokens(10)
    return holder(processes, workers)


def the_other_goes_on(processes: Processes, first: Process) -> None:
    """The answer is another worker's before the queue hands it out, and reads on as it should."""

    def claims() -> list[str]:
        ((_, claims),) = truth_of(processes.broker).claims.items()
        return claims

    until("another has claimed it", lambda: len(claims()) > 1, 60)
    assert claims() == [first.name, *({"w1", "w2"} - {first.name})]
    ((_, run),) = truth_of(processes.broker).runs.items()
    again = Reading(processes.url, LONG, key="mine")
    again.start()
    again.await_tokens(len(run.texts) + 20)
    assert again.texts[: len(run.texts) + 20] == said(len(run.texts) + 20)


def test_a_model_whose_only_worker_has_died_is_refused_by_name_at_once(
    processes: Processes,
) -> None:
    """By the broker's word: the worker counts as present for some seconds more."""
    gateway = processes.gateway("--worker-wait", "0.5")
    worker = processes.worker("w1", *SLOW)
    processes.await_workers(1)
    worker.kill()
    died = time.monotonic()
    body = {"model": "echo", "messages": [{"role": "user", "content": "x"}], "max_tokens": 5}
    url = f"{processes.url}/v1/chat/completions"
    while True:
        with suppress(httpx.TimeoutException):
            answer = httpx.post(url, json=body, timeout=2.0)
            if answer.status_code == 503:
                break
        assert time.monotonic() - died < 60
    assert answer.json()["error"]["code"] == "no_worker" and "'echo'" in answer.text
    assert "was lost" not in gateway.log.read_text()
    processes.worker("w1", *SLOW)
    until("one has come", lambda: httpx.post(url, json=body, timeout=60).is_success)
