"""A log that is nearly full takes no new requests, and takes them again when there is room."""

import asyncio
import time

import pytest

from mesh.bus.appender import new_uid
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import Fleet
from mesh.bus.topology import declare
from mesh.gateway import budget
from mesh.gateway.crowd import Crowd
from mesh.gateway.lanes import Lanes
from mesh.gateway.queue import Queue
from mesh.gateway.requests import Requests
from mesh.gateway.waiting import WaitingRoom
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Message, Request
from mesh.settings import Limits
from tests.conftest import Broker
from tests.limiting import unlimited


def a_request(size: int) -> Request:
    return Request(
        rid=new_uid(),
        reply="gw1",
        tenant="t",
        model="m",
        messages=(Message(role="user", content="x" * size),),
        created=0.0,
        deadline=4e9,
    )


async def test_new_requests_wait_while_the_log_is_nearly_full(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "LOOK", 0.05)
    bus = await Bus.connect([broker.url], *broker.credentials("gateway"))
    js = JetStream(bus)
    await declare(js, Limits(run_max_bytes=1 << 20))
    queue = Queue(js, Crowd(WaitingRoom(), 100), Lanes(Fleet(bus, js)), time.time)
    requests = Requests(bus, js, "gw1", lambda where, event, seq: None, queue, unlimited())
    await requests.start()
    await requests.submit(a_request(900_000))
    with pytest.raises(MeshError) as caught:
        async with asyncio.timeout(60):
            while True:
                await requests.submit(a_request(10))
                await asyncio.sleep(0.02)
    assert caught.value.code is ErrorCode.QUEUE_FULL
    assert caught.value.retry_after
    await declare(js, Limits(run_max_bytes=1 << 22))
    async with asyncio.timeout(60):
        while True:
            try:
                await requests.submit(a_request(10))
                break
            except MeshError:
                await asyncio.sleep(0.02)
    await requests.close()
    await bus.close()
