"""Machines whose clocks are wrong: they answer, and keep deadlines, as any other."""

import signal
import time
from pathlib import Path

import httpx
import pytest

from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Failed
from tests.acceptance.conftest import Processes, until
from tests.acceptance.reading import SLOW, Reading, said
from tests.chaos.mesh import Service
from tests.conftest import free_port
from tests.truth import truth_of

ROOT = Path(__file__).parents[2]
HOUR = 3600


def off(processes: Processes, seconds: int, name: str, *arguments: str) -> Service:
    """A service whose machine's clock is so many seconds ahead of all others."""
    environment = processes.env | {
        "MESH_CHAOS_AHEAD": str(seconds),
        "MESH_CHAOS_CLOCK": str(seconds),
        "PYTHONPATH": str(ROOT),
    }
    service = Service(name, list(arguments), environment, processes.folder)
    processes.started.append(service)
    return service


def a_worker_off(processes: Processes, seconds: int) -> Service:
    arguments = ("worker", "--worker-name", "w1", "--engine", "echo", *SLOW)
    worker = off(processes, seconds, "w1", *arguments)
    processes.await_workers(1)
    return worker


def words(reading: Reading) -> list[str]:
    """What was read, without the accent of a service that is off."""
    return [f"{text.partition('~')[0].strip()} " for text in reading.texts]


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_a_worker_whose_clock_is_wrong_answers_as_any_other(
    processes: Processes, ahead: int
) -> None:
    processes.gateway()
    worker = a_worker_off(processes, ahead)
    for _ in range(2):
        reading = Reading(processes.url, 20)
        reading.start()
        reading.finish()
        assert words(reading) == said(20), reading.last
        worker.send(signal.SIGUSR1)  # now somebody sets it right
    truth = truth_of(processes.broker)
    truth.check()
    for run in truth.runs.values():
        assert run.end is not None and run.end.timings.queue < 60


def test_a_worker_whose_clock_is_behind_keeps_deadlines_itself(processes: Processes) -> None:
    processes.gateway("--request-timeout", "6")
    a_worker_off(processes, -HOUR)
    reading = Reading(processes.url, 1000)
    reading.start()
    reading.finish()
    ((_, run),) = truth_of(processes.broker).runs.items()
    assert isinstance(run.end, Failed) and run.end.code is ErrorCode.DEADLINE_EXCEEDED
    assert run.end.seal is not None, "a gateway had to end it"


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_a_gateway_whose_clock_is_wrong_is_no_harm_to_its_requests_nor_to_others(
    processes: Processes, ahead: int
) -> None:
    """It is the first, so it is the one that sees to what nobody has ended in time."""
    port = free_port()
    first = f"http://127.0.0.1:{port}"
    off(processes, ahead, "gw0", "gateway", "--gateway-name", "gw0", "--port", str(port))
    until("it answers", lambda: answers(first))
    processes.gateway()
    processes.worker("w1", *SLOW)
    processes.await_workers(1)
    readings = [Reading(url, 300) for url in (first, processes.url)]
    for reading in readings:
        reading.start()
    for reading in readings:
        reading.finish()
        assert reading.texts == said(300), reading.last
    truth_of(processes.broker).check()


def test_who_is_signed_out_stays_so_though_the_store_s_clock_is_behind(
    processes: Processes,
) -> None:
    processes.gateway()
    off(processes, -HOUR, "store", "store")
    processes.await_store()
    with httpx.Client(base_url=processes.url, timeout=30.0) as http:
        login = http.get("/auth/callback/debug", params={"code": "ada"}).json()
        http.headers["Authorization"] = f"Bearer {login['access_token']['access_token']}"
        assert http.get("/account").status_code == 200
        time.sleep(1.1)  # what is made in the same second counts as made after it
        assert http.delete("/auth/sessions").status_code == 200
        until("its token is refused", lambda: http.get("/account").status_code == 401)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/health", timeout=5.0).status_code > 0
    except httpx.TransportError:
        return False
