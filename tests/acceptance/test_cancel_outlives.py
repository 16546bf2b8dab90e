"""What was asked to stop stops, whichever gateway dies of those that were to see to it."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import Bus
from mesh.bus.history import story
from mesh.bus.jetstream import JetStream
from mesh.gateway.deadlines import OBEYING
from mesh.protocol.events import Cancel, Cancelled, Claim, RunEvent
from mesh.protocol.run import Run
from mesh.protocol.subjects import Writer
from tests.acceptance.conftest import Processes, until
from tests.acceptance.reading import SLOW, Reading
from tests.conftest import Broker
from tests.truth import truth_of

SOON = 25.0
"""Seconds within which the sweeper tells a holder to stop that was not told, on a busy machine."""


def only(broker: Broker) -> tuple[str, Run]:
    """The one request there is."""
    ((rid, run),) = truth_of(broker).runs.items()
    return rid, run


def await_cancelled(processes: Processes, seconds: float) -> Run:
    until("it has an end", lambda: only(processes.broker)[1].end is not None, seconds)
    truth = truth_of(processes.broker)
    truth.check()
    (run,) = truth.runs.values()
    assert isinstance(run.end, Cancelled), run.end
    return run


def tell(broker: Broker, rid: str, *events: Callable[[Run], RunEvent]) -> None:
    """Tell the log as a gateway would that dies before it does anything else.

    events: each from how the request stands.
    """

    async def append(js: JetStream) -> None:
        writer = Writer("gateway", new_uid())
        for event in events:
            run = await story(js, rid)
            assert run is not None and run.queued is not None and run.end is None
            reply = run.queued.request.reply
            await append_event(js, reply, rid, writer, event(run), run.last)

    asyncio.run(_as_gateway(broker, append))


async def _as_gateway(broker: Broker, work: Callable[[JetStream], Awaitable[None]]) -> None:
    bus = await Bus.connect([broker.url], *broker.credentials("gateway"))
    try:
        await work(JetStream(bus))
    finally:
        await bus.close()


def cancel(_: Run) -> Cancel:
    return Cancel(uid=new_uid())


def take_pen(run: Run) -> Claim:
    return Claim(uid=new_uid(), n=run.n + 1, item=1, ack_reply="x", model="echo")


def asked(processes: Processes, url: str, tokens: int = 4000) -> str:
    """The id of a request with a key that a worker is writing on."""
    reading = Reading(url, tokens, key="mine")
    reading.start()
    reading.await_tokens(5)
    return only(processes.broker)[0]


def test_what_was_to_stop_is_stopped_though_its_worker_and_then_its_gateway_die(
    processes: Processes,
) -> None:
    """There is no other worker; the gateway comes back, and another was there all the time."""
    gateway = processes.gateway("--ack-wait", "2")
    processes.second_gateway("--ack-wait", "2")
    worker = processes.worker("w1", *SLOW)
    processes.await_workers(1)
    rid = asked(processes, processes.url)
    worker.kill()
    tell(processes.broker, rid, cancel)
    gateway.kill()
    gateway.start()
    run = await_cancelled(processes, OBEYING + SOON)
    assert run.end is not None and run.end.usage.completion_tokens == len(run.texts) >= 5


def test_its_worker_is_told_to_stop_though_the_gateway_dies_that_was_to_tell_it(
    processes: Processes,
) -> None:
    """Its own gateway does not return either: the sweeper tells it again."""
    processes.gateway()
    gateway, url = processes.second_gateway()
    processes.worker("w1", *SLOW)
    processes.await_workers(1)
    rid = asked(processes, url)
    tell(processes.broker, rid, cancel)
    began = time.monotonic()
    gateway.kill()
    run = await_cancelled(processes, SOON)
    assert run.end_writer is not None and run.end_writer.user == "w1", "it heard, and obeyed"
    assert time.monotonic() - began < SOON


def test_what_a_gateway_took_the_pen_of_and_died_is_ended_by_another(processes: Processes) -> None:
    """The worker writes on, and it counts for nothing."""
    processes.gateway()
    gateway, url = processes.second_gateway()
    processes.worker("w1", *SLOW)
    processes.await_workers(1)
    rid = asked(processes, url)
    tell(processes.broker, rid, cancel, take_pen)
    gateway.kill()
    run = await_cancelled(processes, OBEYING + SOON)
    assert run.end_writer is not None and run.end_writer.user == "gateway"
