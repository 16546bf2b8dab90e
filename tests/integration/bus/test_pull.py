"""Prompts reach a worker with a free slot, once each, also after the broker was away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mesh.bus import lanes
from mesh.bus.appender import persist
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.pull import Item, Puller, ack, nak
from mesh.bus.topology import declare_model
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.messages import Prompt
from tests.conftest import Broker
from tests.integration.bus.conftest import Connect, a_request

MODEL = "some/model.v1 é"


class Desk:
    """Takes as many items as it has slots, and remembers them."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.items: asyncio.Queue[Item] = asyncio.Queue()
        self.spoilt: asyncio.Queue[str] = asyncio.Queue()

    def free(self) -> int:
        return self.slots

    def take(self, item: Item) -> None:
        self.slots -= 1
        self.items.put_nowait(item)

    async def next(self) -> str:
        item = await asyncio.wait_for(self.items.get(), 15)
        return item.prompt.request.rid


@asynccontextmanager
async def pulling(bus: Bus, desk: Desk) -> AsyncIterator[Puller]:
    puller = Puller(
        bus, MODEL, desk.free, desk.take, lambda reply, why: desk.spoilt.put_nowait(reply)
    )
    task = asyncio.create_task(puller.run())
    yield puller
    task.cancel()


async def put(js: JetStream, *rids: str) -> None:
    for rid in rids:
        prompt = Prompt(queued=1, request=a_request(rid, MODEL))
        await persist(js, subjects.req(MODEL, "t"), encode(prompt), {})


async def test_no_more_is_taken_than_there_are_slots(js: JetStream, connect: Connect) -> None:
    await declare_model(js, MODEL, 30.0)
    await put(js, "a", "b", "c")
    desk = Desk(2)
    async with pulling(await connect("w1"), desk) as puller:
        assert [await desk.next(), await desk.next()] == ["a", "b"]
        info = await js.consumer_info(
            subjects.REQ_STREAM, subjects.consumer(MODEL, subjects.lane("t"))
        )
        assert (info.num_pending, info.num_ack_pending) == (1, 2)
        desk.slots = 1
        puller.wake()
        assert await desk.next() == "c"


async def test_the_next_pull_follows_when_the_last_one_is_used_up(
    js: JetStream, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "HEARTBEAT", 10.0)  # a pull is given up for lost after three of them
    await declare_model(js, MODEL, 30.0)
    desk = Desk(2)
    async with pulling(await connect("w1"), desk) as puller:
        for rid in "abcde":
            await put(js, rid)
            assert await desk.next() == rid
            desk.slots += 1
            puller.wake()


async def test_a_puller_waits_for_a_queue_that_is_not_there_yet(
    js: JetStream, connect: Connect
) -> None:
    desk = Desk(1)
    async with pulling(await connect("w1"), desk):
        await asyncio.sleep(0.3)
        await declare_model(js, MODEL, 30.0)
        await put(js, "a")
        assert await desk.next() == "a"


async def test_pulling_goes_on_after_the_broker_was_away(
    js: JetStream, connect: Connect, broker: Broker
) -> None:
    await declare_model(js, MODEL, 30.0)
    desk = Desk(5)
    async with pulling(await connect("w1"), desk):
        await put(js, "a")
        assert await desk.next() == "a"
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        await put(js, "b")
        while (rid := await desk.next()) == "a":
            pass  # it may have forgotten that it handed this one out
        assert rid == "b"


async def test_what_is_handed_back_comes_again_and_what_is_acknowledged_does_not(
    js: JetStream, connect: Connect
) -> None:
    await declare_model(js, MODEL, 30.0)
    await put(js, "a")
    desk, bus = Desk(1), await connect("w1")
    async with pulling(bus, desk) as puller:
        first = await asyncio.wait_for(desk.items.get(), 5)
        await nak(bus, first.ack_reply, 0.1)
        desk.slots = 1
        puller.wake()
        again = await asyncio.wait_for(desk.items.get(), 5)
        assert (again.seq, again.deliveries) == (first.seq, 2)
        await ack(bus, again.ack_reply)
    assert (await js.stream_info(subjects.REQ_STREAM)).state.messages == 0


async def test_a_prompt_that_cannot_be_read_is_set_aside(js: JetStream, connect: Connect) -> None:
    await declare_model(js, MODEL, 30.0)
    await js.append(subjects.req(MODEL, "t"), b"not a prompt")
    await put(js, "a")
    desk = Desk(2)
    async with pulling(await connect("w1"), desk):
        assert (await asyncio.wait_for(desk.spoilt.get(), 5)).startswith("$JS.ACK.REQ.")
        assert await desk.next() == "a"
