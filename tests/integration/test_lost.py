"""A worker that fell silent is logged as lost, once, whatever the wire to the broker does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import Bus
from mesh.bus.entries import read_event
from mesh.bus.jetstream import JetStream
from mesh.bus.topology import declare
from mesh.gateway.lost import report_lost
from mesh.protocol import subjects
from mesh.protocol.events import WorkerLost, WorkerStarted, WorkerStopped
from mesh.protocol.subjects import Writer
from mesh.protocol.worker_info import WorkerInfo
from mesh.settings import Limits
from tests.conftest import Broker
from tests.proxy import Proxy

INFO = WorkerInfo(
    name="w1", inc=new_uid(), protocol=1, version="0", models=(), slots=1, started=0.0
)
WORKER = Writer(INFO.name, INFO.inc)
STORY = subjects.process(WORKER)
GATEWAY = Writer("gateway", "a")

STARTED = WorkerStarted(uid=new_uid(), info=INFO)
STOPPED = WorkerStopped(uid=new_uid(), name=INFO.name, inc=INFO.inc)


@asynccontextmanager
async def connected(
    broker: Broker, user: str, url: str = "", timeout: float = 30.0
) -> AsyncIterator[JetStream]:
    """A broker user's connection, that gives up on an answer after so many seconds."""
    name, password = broker.credentials(user)
    bus = await Bus.connect([url or broker.url], name, password, f"test {user}")
    try:
        yield JetStream(bus, timeout=timeout)
    finally:
        await bus.close()


@pytest.fixture
async def js(broker: Broker) -> AsyncIterator[JetStream]:
    """A gateway's connection; the streams exist."""
    async with connected(broker, "gateway") as js:
        await declare(js, Limits())
        yield js


async def tell(broker: Broker, *events: WorkerStarted | WorkerStopped) -> None:
    """Log what the worker says of itself."""
    last = 0
    async with connected(broker, INFO.name) as worker:
        for event in events:
            last = await append_event(worker, subjects.FLEET, STORY, WORKER, event, last)


async def kinds(js: JetStream) -> list[type]:
    """What the log has of the worker."""
    events = subjects.events_of(STORY)
    batches = [batch async for batch in js.read(subjects.RUN_STREAM, events, 1, 1000)]
    return [type(read_event(stored)) for batch in batches for stored in batch]


async def test_a_loss_is_logged_though_the_broker_did_not_answer_at_first(
    broker: Broker, js: JetStream
) -> None:
    await tell(broker, STARTED)
    async with Proxy(broker.port) as proxy, connected(broker, "gateway", proxy.url, 0.5) as behind:
        proxy.deaf = True
        reporting = asyncio.create_task(report_lost(behind, GATEWAY, INFO))
        await proxy.swallowed.wait()
        proxy.cut()
        async with asyncio.timeout(60):
            await reporting
    assert await kinds(js) == [WorkerStarted, WorkerLost]


async def test_of_several_gateways_one_logs_a_loss(broker: Broker, js: JetStream) -> None:
    await tell(broker, STARTED)
    await asyncio.gather(*(report_lost(js, Writer("gateway", inc), INFO) for inc in "abc"))
    assert await kinds(js) == [WorkerStarted, WorkerLost]


async def test_who_said_goodbye_is_not_lost(broker: Broker, js: JetStream) -> None:
    await tell(broker, STARTED, STOPPED)
    await report_lost(js, GATEWAY, INFO)
    assert await kinds(js) == [WorkerStarted, WorkerStopped]


async def test_a_loss_is_logged_though_the_log_keeps_the_start_no_longer(js: JetStream) -> None:
    await report_lost(js, GATEWAY, INFO)
    assert await kinds(js) == [WorkerLost]
