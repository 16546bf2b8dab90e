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
from mesh.cli import enrol
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.request import Prompt
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


async def test_workers_agree_on_whose_turn_it_is(js: JetStream, connect: Connect) -> None:
    """They hear what the others take: no lane gets a second turn before the other one got its."""
    await declare_model(js, MODEL, 30.0)
    ada, bob = (
        "t0",
        next(f"t{n}" for n in range(99) if subjects.lane(f"t{n}") != subjects.lane("t0")),
    )
    for number in range(8):
        for tenant in (ada, bob):
            prompt = Prompt(queued=1, request=a_request(f"{tenant}-{number}", MODEL))
            await persist(js, subjects.req(MODEL, tenant), encode(prompt), {})
    said: asyncio.Queue[bytes] = asyncio.Queue()
    buses = [await connect(name) for name in ("w1", "w2", "w3")]
    await buses[2].listen(subjects.taken(model=MODEL), lambda msg: said.put_nowait(msg.data))
    desks = [Desk(0), Desk(0)]
    order = []
    async with pulling(buses[0], desks[0]) as one, pulling(buses[1], desks[1]) as other:
        for turn in range(12):
            desk, puller = desks[turn % 2], (one, other)[turn % 2]
            desk.slots = 1
            puller.wake()
            order.append((await desk.next()).partition("-")[0])
            await asyncio.wait_for(said.get(), 15)
            await buses[1 - turn % 2].client.flush(15)
            await asyncio.sleep(0.05)  # what has arrived is handed over
    pairs = [set(order[at : at + 2]) for at in range(0, 12, 2)]
    assert pairs == [{ada, bob}] * 6, order


async def test_a_worker_that_may_not_say_what_it_takes_is_refused_once(
    js: JetStream,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The users of a broker may have been written by a version that knew nothing of it."""
    rights = enrol.may_publish
    monkeypatch.setattr(
        enrol, "may_publish", lambda name: [each for each in rights(name) if "taken" not in each]
    )
    await declare_model(js, MODEL, 30.0)
    desk = Desk(1)
    bus = await connect("w9")
    async with pulling(bus, desk) as puller:
        for rid in "abcde":
            await put(js, rid)
            assert await desk.next() == rid
            await bus.client.flush(15)
            desk.slots += 1
            puller.wake()
    refusals = [each for each in caplog.messages if "permissions violation" in each.lower()]
    assert len(refusals) == 1 and ".taken.w9." in refusals[0], caplog.messages
