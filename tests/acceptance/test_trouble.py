"""Real processes, really killed: what a client reads is the log, whole, once, in order."""

import asyncio
import signal
import time

import httpx
import pytest

from mesh.bus.connection import Bus, BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import present
from tests.acceptance.conftest import Process, Processes, until
from tests.acceptance.reading import SLOW, WORDS, Reading, events, holder, said
from tests.truth import truth_of


def present_at(processes: Processes) -> list[str]:
    """The names of the workers present, by the broker's own list."""

    async def ask() -> list[str]:
        bus = await Bus.connect([processes.broker.url], *processes.broker.credentials("operator"))
        try:
            return [worker.name for worker in await present(JetStream(bus))]
        except BusError:
            return []
        finally:
            await bus.close()

    return asyncio.run(ask())


@pytest.fixture
def workers(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> dict[str, Process]:
    """A gateway and two slow echo workers, with an impatient queue."""
    processes.gateway("--ack-wait", "2")
    found = {name: processes.worker(name, *SLOW) for name in ("w1", "w2")}
    processes.await_workers(2)
    return found


def test_an_answer_survives_the_death_of_its_worker(
    processes: Processes, workers: dict[str, Process]
) -> None:
    reading = Reading(processes.url, 600)
    reading.start()
    reading.await_tokens(20)
    holder(processes, workers).kill()
    reading.finish()
    assert reading.last == {"done": True, "total_tokens": 600}
    assert reading.texts == said(600)
    assert reading.indexes == list(range(600))
    truth = truth_of(processes.broker)
    truth.check()
    ((rid, run),) = truth.runs.items()
    assert run.texts == reading.texts
    assert truth.claims[rid] in (["w1", "w2"], ["w2", "w1"])


def test_a_paused_worker_that_wakes_up_writes_nothing_that_counts(
    processes: Processes, workers: dict[str, Process]
) -> None:
    reading = Reading(processes.url, 400)
    reading.start()
    reading.await_tokens(20)
    paused = holder(processes, workers)
    paused.send(signal.SIGSTOP)
    reading.await_tokens(120)
    paused.send(signal.SIGCONT)
    reading.finish()
    assert reading.texts == said(400)
    truth = truth_of(processes.broker)
    truth.check()
    assert len(next(iter(truth.claims.values()))) == 2


def test_a_broker_that_is_killed_and_restarted_costs_a_pause(
    processes: Processes, workers: dict[str, Process]
) -> None:
    reading = Reading(processes.url, 300)
    reading.start()
    reading.await_tokens(50)
    processes.broker.kill()
    processes.broker.start()
    reading.finish()
    assert reading.last == {"done": True, "total_tokens": 300}
    assert reading.texts == said(300)
    truth_of(processes.broker).check()
    again = Reading(processes.url, 20)
    again.start()
    again.finish()
    assert again.texts == said(20)
    until("who is present is known again", lambda: len(present_at(processes)) == 2)


def test_a_request_whose_gateway_died_has_an_end_all_the_same(processes: Processes) -> None:
    """Nobody serves it; the gateway that is started again sees to its deadline."""
    gateway = processes.gateway("--request-timeout", "6")
    worker = processes.worker("w1", *SLOW)
    processes.await_workers(1)
    worker.send(signal.SIGSTOP)
    reading = Reading(processes.url, 10)
    reading.start()
    until("it is queued", lambda: len(truth_of(processes.broker).runs) == 1)
    gateway.kill()
    worker.kill()
    gateway.start()
    ended = lambda: all(run.end for run in truth_of(processes.broker).runs.values())  # noqa: E731
    until("it has an end", ended)
    truth_of(processes.broker).check()


def test_a_request_that_was_refused_late_does_not_linger(processes: Processes) -> None:
    """The broker stalls for longer than a gateway waits, and stores the request afterwards."""
    processes.gateway()
    processes.worker("w1")
    processes.await_workers(1)
    processes.broker.pause()
    response = httpx.post(f"{processes.url}/generate", json={"prompt": "hello"}, timeout=30)
    assert response.status_code == 503
    processes.broker.resume()
    landed = lambda: len(truth_of(processes.broker).runs) == 1  # noqa: E731
    until("it was stored after all", landed)
    ended = lambda: all(run.end for run in truth_of(processes.broker).runs.values())  # noqa: E731
    until("it has an end", ended)


def test_hanging_up_frees_the_slot(processes: Processes) -> None:
    processes.gateway()
    processes.worker("w1", "--slots", "1", *SLOW)
    processes.await_workers(1)
    with httpx.stream(
        "POST",
        f"{processes.url}/generate",
        json={"prompt": f"/repeat {WORDS}", "params": {"max_tokens": 100_000}},
    ) as response:
        next(events(response))
    ended = lambda: all(run.end for run in truth_of(processes.broker).runs.values())  # noqa: E731
    until("the answer is cancelled", ended)
    after = Reading(processes.url, 5)
    after.start()
    after.finish()
    assert after.texts == said(5)
    truth_of(processes.broker).check()


def test_a_drained_worker_finishes_what_it_has(
    processes: Processes, workers: dict[str, Process]
) -> None:
    reading = Reading(processes.url, 120)
    reading.start()
    reading.await_tokens(10)
    assert holder(processes, workers).stop() == 0
    reading.finish()
    assert reading.texts == said(120)
    truth = truth_of(processes.broker)
    truth.check()
    assert len(next(iter(truth.claims.values()))) == 1


def test_a_worker_whose_grace_is_over_hands_its_answer_over(processes: Processes) -> None:
    processes.gateway("--ack-wait", "30")
    workers = {name: processes.worker(name, *SLOW, "--grace", "0.2") for name in ("w1", "w2")}
    processes.await_workers(2)
    reading = Reading(processes.url, 600)
    reading.start()
    reading.await_tokens(10)
    assert holder(processes, workers).stop() == 0
    reading.finish()
    assert reading.texts == said(600)
    truth = truth_of(processes.broker)
    truth.check()
    assert len(next(iter(truth.claims.values()))) == 2


def test_who_waits_for_a_gateway_claims_once(
    processes: Processes, workers: dict[str, Process]
) -> None:
    """A worker that cannot learn how a request stands gets it again and again meanwhile."""
    gateway = processes.started[0]
    reading = Reading(processes.url, 600)
    reading.start()
    reading.await_tokens(20)
    first = holder(processes, workers)
    gateway.send(signal.SIGSTOP)
    first.kill()
    time.sleep(7)  # three times the queue's patience, in which it hands the request out again
    gateway.send(signal.SIGCONT)
    reading.finish()
    assert reading.texts == said(600)
    truth = truth_of(processes.broker)
    truth.check()
    assert len(next(iter(truth.claims.values()))) == 2


def test_a_worker_takes_no_more_than_it_has_slots_for(processes: Processes) -> None:
    """A pull that was given up during a pause may still bring prompts."""
    processes.gateway()
    worker = processes.worker("w1", "--slots", "2", *SLOW)
    processes.await_workers(1)
    for _ in range(3):
        worker.send(signal.SIGSTOP)
        time.sleep(2.5)
        worker.send(signal.SIGCONT)
        time.sleep(0.5)
    readings = [Reading(processes.url, 60) for _ in range(8)]
    for reading in readings:
        reading.start()
    readings[0].await_tokens(10)
    running = [run for run in truth_of(processes.broker).runs.values() if run.pen and not run.end]
    assert len(running) <= 2
    for reading in readings:
        reading.finish()
        assert reading.texts == said(60)
    truth_of(processes.broker).check()
