"""The log's tail on a real broker: who waits is woken, who does not is sent nothing."""

import asyncio
import shutil
import time

import pytest

from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import BusError, Disconnected
from mesh.bus.jetstream import JetStream
from mesh.bus.tail import Tail
from mesh.bus.topology import declare
from mesh.gateway.unfinished import Unfinished
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Done, Failed, Queued
from mesh.protocol.subjects import Writer
from mesh.settings import Limits
from tests.conftest import Broker
from tests.integration.bus.conftest import Connect, a_request
from tests.integration.bus.test_follow import Earlier

WRITER = Writer("gateway", "a")
LONG = 90.0
"""Seconds that nobody has to wait who is woken."""


async def queue(js: JetStream) -> tuple[str, int]:
    """Begin a request; its id and the sequence of its beginning."""
    request = a_request()
    event = Queued(uid=new_uid(), request=request)
    return request.rid, await append_event(js, "gw1", request.rid, WRITER, event, 0)


async def test_who_waits_is_woken_each_time(connect: Connect, js: JetStream) -> None:
    reader = await connect("gateway")
    tail = Tail(reader, JetStream(reader))
    for _ in range(3):
        await tail.wait(LONG)  # hangs the bell up
        at = await tail.last()
        waiting = asyncio.create_task(tail.wait(LONG))
        await asyncio.sleep(0)
        began = time.monotonic()
        _, seq = await queue(js)
        await waiting
        assert time.monotonic() - began < LONG / 2
        assert [stored.seq for stored in await tail.read(at, 10)] == [seq]


async def test_nothing_is_missed_between_two_waits(connect: Connect, js: JetStream) -> None:
    reader = await connect("gateway")
    tail = Tail(reader, JetStream(reader))
    at = await tail.last()
    await queue(js)
    await tail.wait(LONG)
    _, seq = await queue(js)
    began = time.monotonic()
    await tail.wait(LONG)
    assert time.monotonic() - began < LONG / 2
    assert (await tail.read(at, 10))[-1].seq == seq


async def test_who_does_not_wait_is_sent_nothing(connect: Connect, js: JetStream) -> None:
    reader = await connect("gateway")
    tail = Tail(reader, JetStream(reader))
    await tail.wait(LONG)
    waiting = asyncio.create_task(tail.wait(LONG))
    await asyncio.sleep(0)
    await queue(js)
    await waiting  # it has rung, and hangs no more
    heard = reader.client.stats["in_msgs"]
    for _ in range(5):
        await queue(js)
    await tail.last()
    assert reader.client.stats["in_msgs"] == heard + 1  # the answer to our question


async def test_a_wake_ends_a_wait(connect: Connect) -> None:
    tail = Tail(bus := await connect("gateway"), JetStream(bus))
    await tail.wait(LONG)
    waiting = asyncio.create_task(tail.wait(LONG))
    await asyncio.sleep(0)
    tail.wake()
    await asyncio.wait_for(waiting, LONG / 2)


async def test_the_bell_rings_also_after_the_broker_was_away(
    broker: Broker, connect: Connect, js: JetStream
) -> None:
    reader = await connect("gateway")
    tail = Tail(reader, JetStream(reader))
    await tail.wait(LONG)
    waiting = asyncio.create_task(tail.wait(LONG))
    await asyncio.sleep(0)
    broker.kill()
    await asyncio.to_thread(broker.start)
    await asyncio.wait_for(waiting, LONG / 2)  # it is in doubt whether it rang meanwhile
    again = asyncio.create_task(tail.wait(LONG))
    await asyncio.sleep(0)
    await queue(js)
    await asyncio.wait_for(again, LONG / 2)


async def test_a_closed_connection_is_said_to_be_one(connect: Connect) -> None:
    tail = Tail(bus := await connect("gateway"), JetStream(bus))
    await bus.close()
    with pytest.raises(Disconnected, match="closed"):
        await tail.wait(LONG)


async def test_what_another_has_read_is_not_read_again(connect: Connect, js: JetStream) -> None:
    tail = Tail(bus := await connect("gateway"), JetStream(bus))
    unfinished = Unfinished(tail)
    rid, seq = await queue(js)
    assert rid in await unfinished.read()
    other, _ = await queue(js)
    await append_event(js, "gw1", rid, WRITER, Done(uid=new_uid(), finish="stop"), seq)
    batch = await tail.read(seq, 10)
    unfinished.hear(seq, batch)
    heard = bus.client.stats["in_msgs"]
    runs = await unfinished.read()
    assert other in runs and rid not in runs
    assert bus.client.stats["in_msgs"] - heard <= 3  # where the end is, and nothing beyond it


async def test_what_another_has_read_is_taken_only_without_gaps(
    connect: Connect, js: JetStream
) -> None:
    tail = Tail(bus := await connect("gateway"), JetStream(bus))
    unfinished = Unfinished(tail)
    rid, seq = await queue(js)
    await unfinished.read()
    ended = await append_event(js, "gw1", rid, WRITER, Done(uid=new_uid(), finish="stop"), seq)
    other, _ = await queue(js)
    unfinished.hear(ended, await tail.read(ended, 10))  # the end of the first is not in it
    assert set(await unfinished.read()) == {other}


async def test_a_log_made_anew_is_read_from_its_beginning(
    broker: Broker, connect: Connect, js: JetStream
) -> None:
    """It may be longer by now than the old one was: its length says nothing."""
    unfinished = Unfinished(Tail(bus := await connect("gateway"), JetStream(bus)))
    await queue(js)
    assert len(await unfinished.read()) == 1
    broker.kill()
    shutil.rmtree(broker.folder.streams)
    await asyncio.to_thread(broker.start)
    async with asyncio.timeout(LONG):
        while not (bus.connected and js.bus.connected):
            await asyncio.sleep(0.05)
    await declare(js, Limits())
    new = {(await queue(js))[0] for _ in range(3)}
    assert set(await unfinished.read()) == new


async def test_a_log_that_is_said_to_have_gone_back_is_not_read_again(
    connect: Connect, js: JetStream
) -> None:
    earlier = Earlier(bus := await connect("gateway"))
    unfinished = Unfinished(Tail(bus, earlier))
    open_now = {(await queue(js))[0] for _ in range(3)}
    assert set(await unfinished.read()) == open_now
    earlier.missing = 2
    with pytest.raises(BusError, match="said to end at 1, and 3 was there"):
        await unfinished.read()
    earlier.missing = 0
    heard = bus.client.stats["in_msgs"]
    assert set(await unfinished.read()) == open_now
    assert bus.client.stats["in_msgs"] - heard <= 3  # where the end is, and nothing before it


async def test_poison_that_another_has_seen_to_is_forgotten(
    connect: Connect, js: JetStream
) -> None:
    unfinished = Unfinished(Tail(bus := await connect("gateway"), JetStream(bus)))
    rid, seq = await queue(js)
    failed = Failed(uid=new_uid(), code=ErrorCode.WORKER_LOST, poison=True)
    await append_event(js, "gw1", rid, WRITER, failed, seq)
    await unfinished.read()
    unfinished.forget(time.time() - 60)
    assert set(unfinished.poisoned) == {rid}
    unfinished.forget(time.time() + 60)
    assert not unfinished.poisoned
