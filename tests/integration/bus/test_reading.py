"""Reads of the log come to their end, however much there is and however slow the way."""

import time

import pytest

from mesh.bus.appender import append_event, new_uid
from mesh.bus.batch import BATCH_BYTES
from mesh.bus.connection import Bus
from mesh.bus.history import events, story
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import Stored
from mesh.protocol import subjects
from mesh.protocol.events import Cancel, Cancelled, LogEvent, Queued
from mesh.protocol.subjects import Writer
from tests.conftest import Broker
from tests.integration.bus.conftest import Connect, a_request
from tests.proxy import Proxy

LARGE, COUNT = 300_000, 20
"""Bytes of a message, more than a full frame has, and how many are stored."""

PACE = 800_000
"""Bytes a second of a way on which all of it takes longer than a broker may keep silent."""


@pytest.fixture
async def stored(js: JetStream, connect: Connect) -> int:
    """The last sequence of a log with large messages."""
    worker = JetStream(await connect("w1"))
    subject = subjects.tokens("gw1", Writer("w1", new_uid()))
    last = 0
    for _ in range(COUNT):
        last = await worker.append(subject, bytes(LARGE))
    return last


async def test_a_batch_is_no_larger_than_a_reader_asks_for(js: JetStream, stored: int) -> None:
    log = subjects.log_of("gw1")
    batches = [batch async for batch in js.read(subjects.RUN_STREAM, log, 1, stored)]
    assert sum(map(len, batches)) == COUNT
    assert max(len(batch) for batch in batches) * LARGE <= BATCH_BYTES + LARGE


async def test_whoever_reads_over_a_slow_line_gets_to_the_end(
    broker: Broker, gateway: Bus, stored: int
) -> None:
    name, password = broker.credentials("gateway")
    async with Proxy(broker.port, pace=PACE) as proxy:
        bus = await Bus.connect([proxy.url], name, password)
        js, log = JetStream(bus, timeout=1.0), subjects.log_of("gw1")
        began = time.monotonic()
        found = [
            each.seq
            async for batch in js.read(subjects.RUN_STREAM, log, 1, stored)
            for each in batch
        ]
        await bus.close()
    assert found == list(range(1, stored + 1))
    assert time.monotonic() - began > COUNT * LARGE / PACE - 3.0  # it was slow indeed


class Forgetful(JetStream):
    """As if the log had forgotten all but the last two messages."""

    async def get(self, stream: str, seq: int) -> Stored | None:
        return await super().get(stream, seq) if seq + 2 > await self.end(stream) else None

    async def next(self, stream: str, subject: str, start: int) -> Stored | None:
        return await super().next(stream, subject, max(start, await self.end(stream) - 1))


async def told(js: JetStream, rid: str) -> list[int]:
    """Tell a request's story, and return the sequences of its events."""
    writer, last = Writer("gateway", new_uid()), 0
    request = a_request(rid)
    told: list[LogEvent] = [
        Queued(uid=new_uid(), request=request),
        Cancel(uid=new_uid(), by="somebody"),
        Cancelled(uid=new_uid()),
    ]
    found = []
    for event in told:
        last = await append_event(js, "gw1", rid, writer, event, last)
        found.append(last)
    return found


async def test_the_events_of_a_request_are_followed_from_the_last_one_back(js: JetStream) -> None:
    first, other = await told(js, "r1"), await told(js, "r2")
    assert [each.seq for each in await events(js, "r1")] == first
    assert [each.seq for each in await events(js, "r2")] == other
    assert await events(js, "nothing") == []
    forgetful = Forgetful(js.bus)
    assert [each.seq for each in await events(forgetful, "r2")] == other[1:]
    run = await story(forgetful, "r2")
    assert run is not None and run.queued is None and run.end is not None
