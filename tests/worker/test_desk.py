"""For which items a worker asks the queue to be patient, and what it says that it works on."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from mesh.bus.connection import Bus
from mesh.bus.dialling import Client
from mesh.bus.jetstream import JetStream
from mesh.bus.lasting import Lasting
from mesh.bus.pull import Item
from mesh.protocol.poison import Bounds
from mesh.protocol.request import Message, Prompt, Request
from mesh.protocol.subjects import Writer
from mesh.settings import WorkerSettings
from mesh.worker import desk as of_desk
from mesh.worker.answer import Answer, Patience
from mesh.worker.claim import Claims, Held
from mesh.worker.desk import Desk
from mesh.worker.engines.base import EngineError, Job, Reader
from mesh.worker.engines.echo import EchoEngine

REQUEST = Request(
    rid="r1",
    reply="gw1",
    tenant="t",
    model="echo",
    messages=(Message(role="user", content="one"),),
    created=0.0,
    deadline=4e9,
)
ITEM = Item(Prompt(queued=1, request=REQUEST), "ack.me", 1, 1)
LIMIT = 0.3


class Granted(Claims):
    """Every claim is granted at once."""

    async def claim(self, item: Item) -> Held:
        return Held(item, 1, 2)


@pytest.fixture
async def engine() -> AsyncIterator[EchoEngine]:
    """An engine that never gives a first token."""
    engine = EchoEngine(WorkerSettings(engine="echo", echo_delay=1000.0))
    yield engine
    await engine.close()


async def test_only_what_the_engine_is_alive_on_is_renewed(
    engine: EchoEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody gives back what it has stalled on here, so it is the queue that has to."""
    renewed: list[str] = []

    async def renew(bus: Bus, ack_reply: str) -> None:
        renewed.append(ack_reply)

    async def ready() -> None: ...

    monkeypatch.setattr(of_desk, "in_progress", renew)
    bus = Bus(Client(), "w1")
    js = JetStream(bus)
    claims = Granted(bus, js, Writer("w1", "i1"), engine.info.fingerprint)
    patience = Patience(first=LIMIT, between=LIMIT, losses=Bounds(2, 5))
    desk = Desk(bus, js, claims, engine, patience, ready, lambda: None, Lasting())
    desk.ack_wait = LIMIT / 4
    desk.take(ITEM)
    renewing = asyncio.create_task(desk.keep_alive())
    try:
        await asyncio.sleep(LIMIT / 2)
        assert renewed and set(renewed) == {"ack.me"} and desk.holds("r1")
        await asyncio.sleep(LIMIT)
        assert not desk.holds("r1"), "who asks may have it"
        renewed.clear()
        await asyncio.sleep(LIMIT)
        assert renewed == [] and desk.running() == 1
    finally:
        renewing.cancel()
        desk.close()


async def test_nothing_is_kept_for_addresses_at_which_nobody_waits_any_more(
    engine: EchoEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway without a name of its own has another address with each start."""

    async def ready() -> None: ...

    async def work(answer: Answer) -> None:
        return None  # another has taken it over

    monkeypatch.setattr(Answer, "work", work)
    bus, lasting = Bus(Client(), "w1"), Lasting()
    js = JetStream(bus)
    claims = Granted(bus, js, Writer("w1", "i1"), engine.info.fingerprint)
    patience = Patience(first=LIMIT, between=LIMIT, losses=Bounds(2, 5))
    desk = Desk(bus, js, claims, engine, patience, ready, lambda: None, lasting)
    before = len(asyncio.all_tasks())
    for start in range(50):
        request = replace(REQUEST, rid=f"r{start}", reply=f"gw-{start}")
        desk.take(Item(Prompt(queued=1, request=request), "ack.me", 1, 1))
        while desk.running():
            await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    assert len(asyncio.all_tasks()) == before
    desk.close()
    await lasting.close()


class Faulty(EchoEngine):
    """Throws, while it is told to."""

    throws = True

    async def generate(self, job: Job, reader: Reader) -> None:
        if self.throws:
            raise EngineError("out of order")
        await super().generate(job, reader)


async def test_an_engine_that_throws_is_spared_until_it_answers() -> None:
    """Three requests fail at once; after a pause one is tried, and then as many as there are."""

    async def ready() -> None: ...

    engine = Faulty(WorkerSettings(engine="echo", slots=3))
    bus, lasting = Bus(Client(), "w1"), Lasting()
    js = JetStream(bus)
    claims = Granted(bus, js, Writer("w1", "i1"), engine.info.fingerprint)
    patience = Patience(first=LIMIT, between=LIMIT, losses=Bounds(2, 5))
    desk = Desk(bus, js, claims, engine, patience, ready, lambda: None, lasting)

    def take(rid: str) -> None:
        desk.take(Item(Prompt(queued=1, request=replace(REQUEST, rid=rid)), "ack.me", 1, 1))

    try:
        for rid in ("r1", "r2", "r3"):
            take(rid)
        async with asyncio.timeout(20.0):
            while desk.running():
                await asyncio.sleep(0.01)
            assert desk.free() == 0
            while not desk.free():
                await asyncio.sleep(0.01)
            assert desk.free() == 1
            engine.throws = False
            take("r4")
            assert desk.free() == 0
            while not desk.free():  # its end cannot be told here, but the slot is free
                await asyncio.sleep(0.01)
            assert desk.free() == 3
    finally:
        desk.close()
        await lasting.close()
        await engine.close()
