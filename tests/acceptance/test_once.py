"""A request is done once, and its answer is read on anywhere: by its key, at any gateway."""

import time

import httpx

from tests.acceptance.conftest import Processes
from tests.acceptance.reading import SLOW, WORDS, Reading, said
from tests.truth import truth_of


def post(url: str, tokens: int, key: str) -> httpx.Response:
    body = {"prompt": f"/repeat {WORDS}", "params": {"max_tokens": tokens}}
    return httpx.post(f"{url}/generate", json=body, headers={"Idempotency-Key": key}, timeout=60)


def test_a_key_leads_to_the_same_answer_at_every_gateway(processes: Processes) -> None:
    processes.gateway()
    processes.worker("w1", *SLOW)
    processes.await_workers(1)
    _, url = processes.second_gateway()
    readings = [Reading(where, 100, key="mine") for where in (processes.url, url) * 4]
    for reading in readings:
        reading.start()
    for reading in readings:
        reading.finish()
        assert reading.texts == said(100)
    other = post(url, 101, "mine")
    assert other.status_code == 422
    assert "another body" in other.text
    truth = truth_of(processes.broker)
    truth.check()
    assert [len(claims) for claims in truth.claims.values()] == [1]


def test_an_answer_is_read_on_at_another_gateway_when_its_own_is_killed(
    processes: Processes,
) -> None:
    gateway = processes.gateway()
    processes.worker("w1", *SLOW)
    processes.await_workers(1)
    _, url = processes.second_gateway()
    cut = Reading(processes.url, 300, key="mine")
    cut.start()
    cut.await_tokens(40)
    gateway.kill()
    cut.finish()
    rest = Reading(url, 300, key="mine", after=cut.indexes[-1])
    rest.start()
    rest.finish()
    assert cut.texts + rest.texts == said(300)
    assert rest.indexes == list(range(len(cut.texts), 300))
    truth_of(processes.broker).check()


def test_a_key_is_remembered_over_a_restart_of_the_broker(processes: Processes) -> None:
    processes.gateway()
    processes.worker("w1", *SLOW)
    processes.await_workers(1)
    first = post(processes.url, 20, "mine")
    processes.broker.kill()
    processes.broker.start()
    while (again := post(processes.url, 20, "mine")).status_code == 503:
        time.sleep(0.1)  # the broker is not quite back
    assert again.content == first.content
    assert len(truth_of(processes.broker).runs) == 1


def test_whoever_hangs_up_with_a_key_finds_the_answer_whole(processes: Processes) -> None:
    processes.gateway()
    processes.worker("w1", *SLOW)
    processes.await_workers(1)
    body = {"prompt": f"/repeat {WORDS}", "params": {"max_tokens": 150}}
    headers = {"Idempotency-Key": "mine"}
    url = f"{processes.url}/generate"
    with httpx.stream("POST", url, json=body, headers=headers) as response:
        next(response.iter_lines())
    again = Reading(processes.url, 150, key="mine")
    again.start()
    again.finish()
    assert again.texts == said(150)


def test_reading_on_needs_a_key(processes: Processes) -> None:
    processes.gateway()
    processes.worker("w1")
    processes.await_workers(1)
    body = {"prompt": "hello"}
    headers = {"Last-Event-ID": "3"}
    refused = httpx.post(f"{processes.url}/generate", json=body, headers=headers, timeout=30)
    assert refused.status_code == 400
    assert "needs the Idempotency-Key" in refused.text
