"""The broker was away for longer than the queue's patience: who is back first robs nobody."""

import asyncio
import time

import pytest

from mesh.bus import asking
from mesh.bus.appender import append_event, new_uid
from mesh.bus.asking import NEVER, Says, ask, lives
from mesh.bus.connection import Bus
from mesh.bus.history import story
from mesh.bus.jetstream import JetStream
from mesh.bus.partings import Partings
from mesh.bus.presence import RENEW
from mesh.bus.pull import Item
from mesh.gateway.resume import Resumer
from mesh.protocol import subjects
from mesh.protocol.events import Claim, Queued
from mesh.protocol.questions import Alive
from mesh.protocol.request import Prompt
from mesh.protocol.subjects import Writer
from mesh.worker.claim import Claims, Settled
from tests.conftest import Broker
from tests.integration.bus.conftest import Connect, a_request

FIRST, HOLDER = Writer("w1", "i1"), Writer("w2", "i2")
SOON = 60.0
"""Seconds in which all of this comes to pass on a busy machine."""


async def works_on_it(bus: Bus) -> None:
    """The holder is there, and says that it works on whatever it is asked about."""

    async def answer(subject: str, data: bytes) -> Alive:
        return Alive(holding=True)

    await bus.serve(subjects.ask(HOLDER), answer)


async def held(js: JetStream, theirs: JetStream) -> Item:
    """A request that `HOLDER` has claimed, as it comes out of the queue for the second time."""
    request = a_request("r1")
    event = Queued(uid=new_uid(), request=request)
    queued = await append_event(js, "gw1", "r1", Writer("gateway", "a"), event, 0)
    claim = Claim(uid=new_uid(), n=1, item=1, ack_reply="a", model="m")
    await append_event(theirs, "gw1", "r1", HOLDER, claim, queued)
    return Item(Prompt(queued=queued, request=request), "", 1, 2)


async def away(broker: Broker, *buses: Bus) -> None:
    """Let the broker go away and come back."""
    await asyncio.to_thread(broker.kill)
    while any(bus.connected for bus in buses):
        await asyncio.sleep(0.01)
    await asyncio.to_thread(broker.start)


async def connected(*buses: Bus) -> None:
    while not all(bus.connected for bus in buses):
        await asyncio.sleep(0.01)


async def test_a_holder_that_comes_back_later_keeps_its_claim(
    connect: Connect, gateway: Bus, broker: Broker
) -> None:
    js, bus = JetStream(gateway), await connect("w1")
    item = await held(js, JetStream(await connect("w2")))
    await gateway.serve(subjects.RESUME_ALL, Resumer(js).answer)
    await away(broker, bus, gateway)
    async with asyncio.timeout(SOON):
        await connected(bus, gateway)
        claiming = asyncio.create_task(Claims(bus, JetStream(bus), FIRST, "f").claim(item))
        await asyncio.sleep(1.5)
        await works_on_it(await connect("w2"))
        with pytest.raises(Settled) as settled:
            await claiming
    assert "works on it" in str(settled.value)
    run = await story(js, "r1")
    assert run is not None and (run.n, run.losses) == (1, [])


async def test_who_asks_while_the_broker_is_away_is_answered_when_it_is_back(
    connect: Connect, broker: Broker
) -> None:
    bus, holder = await connect("w1"), await connect("w2")
    await works_on_it(holder)
    await asyncio.to_thread(broker.kill)
    while bus.connected:
        await asyncio.sleep(0.01)
    asked = asyncio.create_task(ask(bus, HOLDER, "r1"))
    await asyncio.sleep(0.5)
    assert not asked.done(), "nobody said a word of the holder"
    await asyncio.to_thread(broker.start)
    assert await asyncio.wait_for(asked, SOON) is Says.WORKING


async def test_who_does_not_come_back_is_gone_after_a_while(
    connect: Connect, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asking.RETURNING > RENEW
    monkeypatch.setattr(asking, "RETURNING", 1.0)
    bus = await connect("w1")
    await away(broker, bus)
    async with asyncio.timeout(SOON):
        await connected(bus)
        assert not await lives(bus, HOLDER)
    assert time.monotonic() > bus.returned + 1.0


async def test_who_parted_since_is_not_waited_for(
    connect: Connect, gateway: Bus, broker: Broker
) -> None:
    """Neither by the gateway that heard the broker say so, nor by the worker that it tells."""
    js, bus, partings = JetStream(gateway), await connect("w1"), Partings()
    item = await held(js, JetStream(await connect("w2")))
    await partings.start(gateway)
    resumer = Resumer(js, parted=partings.heard)
    await gateway.serve(subjects.RESUME_ALL, resumer.answer)
    await away(broker, bus, gateway)
    async with asyncio.timeout(SOON):
        await connected(bus, gateway)
        await asyncio.sleep(0.5)  # more than a gateway's word takes, which may be so much too old
        began = time.monotonic()
        await part(broker, HOLDER)
        while partings.heard(HOLDER) == NEVER:
            await asyncio.sleep(0.01)
        assert await ask(gateway, HOLDER, "", parted=lambda: partings.heard(HOLDER)) is Says.GONE
        claimed = await Claims(bus, JetStream(bus), FIRST, "f").claim(item)
    assert claimed.n == 2
    assert time.monotonic() - began < asking.RETURNING - 1


async def test_who_parted_and_is_back_is_waited_for_however_slow(
    connect: Connect, gateway: Bus, broker: Broker
) -> None:
    """Somebody listens there: its connection ended, but not for good."""
    js, bus, partings = JetStream(gateway), await connect("w1"), Partings()
    item = await held(js, JetStream(await connect("w2")))
    await partings.start(gateway)
    await gateway.serve(subjects.RESUME_ALL, Resumer(js, parted=partings.heard).answer)
    await away(broker, bus, gateway)
    async with asyncio.timeout(SOON):
        await connected(bus, gateway)
        await asyncio.sleep(0.5)
        await part(broker, HOLDER)
        back, slow_until = await connect("w2"), time.monotonic() + 1.0

        async def answer(subject: str, data: bytes) -> Alive:
            await asyncio.sleep(0.4 if time.monotonic() < slow_until else 0.0)
            return Alive(holding=True)

        await back.serve(subjects.ask(HOLDER), answer)
        while partings.heard(HOLDER) == NEVER:
            await asyncio.sleep(0.01)
        with pytest.raises(Settled):
            await Claims(bus, JetStream(bus), FIRST, "f").claim(item)
    run = await story(js, "r1")
    assert run is not None and run.n == 1


async def test_who_parted_before_may_be_on_its_way(
    connect: Connect, gateway: Bus, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "RETURNING", 1.0)
    partings = Partings()
    await partings.start(gateway)
    await part(broker, HOLDER)
    async with asyncio.timeout(SOON):
        while partings.heard(HOLDER) == NEVER:
            await asyncio.sleep(0.01)
        await away(broker, gateway)
        await connected(gateway)
        assert await ask(gateway, HOLDER, "", parted=lambda: partings.heard(HOLDER)) is Says.GONE
    assert time.monotonic() > gateway.returned + 1.0


async def part(broker: Broker, writer: Writer) -> None:
    """Come under a writer's name, and go."""
    user, password = broker.credentials(writer.user)
    theirs = await Bus.connect([broker.url], user, password, str(writer))
    await theirs.close()


async def test_whose_connection_never_broke_is_told_at_once(connect: Connect) -> None:
    bus = await connect("w1")
    began = time.monotonic()
    assert await ask(bus, HOLDER, "r1") is Says.GONE
    assert time.monotonic() - began < asking.RETURNING / 2
