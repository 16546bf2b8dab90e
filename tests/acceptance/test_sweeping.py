"""Every accepted request has an end by its deadline, also if nobody is left who accepted it."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx

from mesh.bus.connection import Bus, BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.topology import LEASE_TTL
from mesh.protocol import subjects
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancelled, Done, Failed
from tests.acceptance.conftest import Processes, until
from tests.acceptance.reading import SLOW, Reading, said
from tests.conftest import Broker
from tests.truth import truth_of


def ended(processes: Processes) -> bool:
    runs = truth_of(processes.broker).runs
    return bool(runs) and all(run.end for run in runs.values())


@asynccontextmanager
async def gateways_eyes(broker: Broker) -> AsyncIterator[JetStream]:
    bus = await Bus.connect([broker.url], *broker.credentials("gateway"))
    try:
        yield JetStream(bus, timeout=30.0)
    finally:
        await bus.close()


def test_a_request_whose_gateway_never_returns_has_an_end(processes: Processes) -> None:
    processes.gateway()
    worker = processes.worker("w1", *SLOW)
    processes.await_workers(1)
    gateway, url = processes.second_gateway("--request-timeout", "3")
    worker.send(signal.SIGSTOP)
    reading = Reading(url, 10)
    reading.start()
    until("it is queued", lambda: len(truth_of(processes.broker).runs) == 1)
    gateway.kill()
    worker.kill()
    until("it has an end", lambda: ended(processes))
    truth = truth_of(processes.broker)
    truth.check()
    ((_, run),) = truth.runs.items()
    assert isinstance(run.end, Failed) and run.end.code is ErrorCode.DEADLINE_EXCEEDED


def test_what_nobody_can_read_on_is_cancelled_when_its_gateway_is_gone(
    processes: Processes,
) -> None:
    """Its client has hung up with it; one with a key may come back to any gateway."""
    soon = ("--orphan-timeout", "0")
    first = processes.gateway(*soon)
    processes.worker("w1", *SLOW)
    processes.await_workers(1)
    gateway, url = processes.second_gateway(*soon)
    nameless, named = Reading(url, 20_000), Reading(url, 20_000, key="mine")
    for reading in (nameless, named):
        reading.start()
        reading.await_tokens(5)
    until("it was seen to live", lambda: "The gateway gw2 lives" in first.log.read_text())
    gateway.kill()

    def cancelled() -> bool:
        ends = [run.end for run in truth_of(processes.broker).runs.values()]
        return any(isinstance(end, Cancelled) for end in ends)

    until("it is cancelled", cancelled)
    ends = [run.end for run in truth_of(processes.broker).runs.values()]
    assert ends.count(None) == 1


def test_what_nobody_can_read_on_is_cancelled_by_who_has_never_seen_its_gateway(
    processes: Processes,
) -> None:
    """Both gateways die together, and one alone returns."""
    soon = ("--orphan-timeout", "0")
    first = processes.gateway(*soon)
    processes.worker("w1", *SLOW)
    processes.await_workers(1)
    second, url = processes.second_gateway(*soon)
    reading = Reading(url, 20_000)
    reading.start()
    reading.await_tokens(5)
    first.kill()
    second.kill()
    time.sleep(LEASE_TTL + 1)  # it is not seen any more
    first.start()
    until("it has an end", lambda: ended(processes), 90)
    truth = truth_of(processes.broker)
    truth.check()
    ((_, run),) = truth.runs.items()
    assert isinstance(run.end, Cancelled)


async def lose_the_item(broker: Broker) -> bool:
    """Acknowledge the one item that is in the queue, if it was handed out; whether it is gone."""
    async with gateways_eyes(broker) as js:
        item = await js.next(subjects.REQ_STREAM, subjects.REQ_ALL, 1)
        if item is None:
            return False
        consumer = "".join(item.subject.split(".")[2:4])  # the model's, of the lane
        with suppress(BusError):  # not handed out yet
            await js.bus.request(f"$JS.ACK.REQ.{consumer}.1.{item.seq}.1.0.0", b"+ACK", 0.5)
        return await js.next(subjects.REQ_STREAM, subjects.REQ_ALL, item.seq) is None


def test_what_the_queue_has_lost_is_queued_again(processes: Processes) -> None:
    """As if its gateway had died after the request stood in the log, before it queued it."""
    gateway = processes.gateway("--ack-wait", "2")
    sleeping = processes.worker("w1", *SLOW)
    processes.await_workers(1)
    sleeping.send(signal.SIGSTOP)
    reading = Reading(processes.url, 20)
    reading.start()
    until("it is queued", lambda: asyncio.run(lose_the_item(processes.broker)))
    sleeping.kill()
    processes.worker("w2", *SLOW)
    reading.finish()
    assert reading.texts == said(20)
    assert "had lost" in gateway.log.read_text()
    truth_of(processes.broker).check()


def test_what_was_claimed_and_then_lost_is_queued_again(processes: Processes) -> None:
    """As if a zombie had acknowledged another's item, and then the other had died.

    The first holder has a minute's work, however late all this comes; the second is done at once.
    """
    gateway = processes.gateway()
    worker = processes.worker("w1", *SLOW)
    processes.await_workers(1)
    reading = Reading(processes.url, 3600)
    reading.start()
    reading.await_tokens(10)
    until("it is lost", lambda: asyncio.run(lose_the_item(processes.broker)))
    until("it is queued again", lambda: "had lost" in gateway.log.read_text())
    reading.await_tokens(len(reading.texts) + 120)  # its holder lives, goes on: it was asked
    assert list(truth_of(processes.broker).claims.values()) == [["w1"]]
    until("it is lost", lambda: asyncio.run(lose_the_item(processes.broker)))
    worker.kill()
    processes.worker("w2")
    reading.finish()
    assert reading.texts == said(3600)
    truth = truth_of(processes.broker)
    truth.check()
    assert list(truth.claims.values()) == [["w1", "w2"]]


def test_a_request_that_no_worker_takes_in_time_is_given_up(processes: Processes) -> None:
    processes.gateway("--queue-timeout", "4")
    worker = processes.worker("w1", "--slots", "1", *SLOW)
    processes.await_workers(1)
    first, second = Reading(processes.url, 900), Reading(processes.url, 5)
    first.start()
    first.await_tokens(5)
    second.start()
    second.finish()
    assert second.last == {"error": "No worker took it in time; try again later."}
    body = {"messages": [{"role": "user", "content": "a"}], "model": "echo"}
    late = httpx.post(f"{processes.url}/v1/chat/completions", json=body, timeout=30)
    assert late.status_code == 504 and int(late.headers["Retry-After"]) >= 1, late.text
    first.finish()
    assert first.texts == said(900)
    truth = truth_of(processes.broker)
    truth.check()
    assert {type(run.end) for run in truth.runs.values()} == {Done, Failed}
    third = Reading(processes.url, 5)
    third.start()
    third.finish()
    assert third.texts == said(5)
    assert worker.running
