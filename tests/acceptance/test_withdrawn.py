"""What was withdrawn is never answered, though its gateway died before it had an end."""

import asyncio
import time

from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.protocol.events import Cancel, Cancelled, Queued
from mesh.protocol.request import Message, Request
from mesh.protocol.subjects import Writer
from tests.acceptance.conftest import Processes, until
from tests.acceptance.reading import SLOW
from tests.conftest import Broker
from tests.truth import truth_of

NAME = "gw1"


async def queued_and_withdrawn(broker: Broker) -> str:
    """What a gateway writes that queues a request, takes it back, and dies before it ends it."""
    bus = await Bus.connect([broker.url], *broker.credentials("gateway"))
    try:
        js, writer, now = JetStream(bus), Writer("gateway", new_uid()), time.time()
        request = Request(
            rid=new_uid(),
            reply=NAME,
            tenant="t",
            model="echo",
            messages=(Message(role="user", content="one two three"),),
            created=now,
            deadline=now + 300,
        )
        queued = Queued(uid=new_uid(), request=request, body="of a key")
        seq = await append_event(js, NAME, request.rid, writer, queued, 0)
        cancel = Cancel(uid=new_uid(), by="not all of it", withdrawn=True)
        await append_event(js, NAME, request.rid, writer, cancel, seq)
        return request.rid
    finally:
        await bus.close()


def test_what_was_withdrawn_and_queued_again_is_not_answered(processes: Processes) -> None:
    """A gateway queues what nobody has claimed. Whoever is handed that
    has to claim on `queued`, and so learns what stands behind it."""
    gateway = processes.gateway("--gateway-name", NAME)
    gateway.kill()
    rid = asyncio.run(queued_and_withdrawn(processes.broker))
    processes.gateway("--gateway-name", NAME)
    processes.worker("w1", *SLOW)
    processes.await_workers(1)

    def ended() -> bool:
        return truth_of(processes.broker).runs[rid].end is not None

    until("it has an end", ended)
    truth = truth_of(processes.broker)
    truth.check()
    assert isinstance(truth.runs[rid].end, Cancelled)
    assert truth.runs[rid].text == ""
