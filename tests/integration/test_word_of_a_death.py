"""The broker says that a worker's connection has ended: what it has claimed is handed out again, in
whatever order word and claim reach the gateway. The queue itself would wait for a minute."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from mesh.bus.appender import append_event, new_uid
from mesh.bus.asking import NEVER
from mesh.bus.connection import Bus
from mesh.bus.entries import apply
from mesh.bus.follow import Track
from mesh.bus.jetstream import JetStream
from mesh.bus.partings import Partings
from mesh.bus.presence import Fleet
from mesh.bus.pull import Item, Puller, nak
from mesh.bus.stored import Stored
from mesh.bus.topology import declare, declare_model
from mesh.gateway import takeover
from mesh.gateway.crowd import Crowd
from mesh.gateway.lanes import Lanes
from mesh.gateway.queue import Queue
from mesh.gateway.requests import Requests
from mesh.gateway.takeover import LOOKS, PAUSE, TakeOver
from mesh.gateway.waiting import WaitingRoom
from mesh.protocol import subjects
from mesh.protocol.events import Claim, RunEvent
from mesh.protocol.questions import Alive
from mesh.protocol.subjects import RunSubject, Writer
from mesh.settings import Limits
from tests.conftest import Broker
from tests.integration.bus.conftest import a_request
from tests.limiting import unlimited

PATIENCE = 60.0
"""Seconds of the queue's own."""

SOON, AT_ONCE = 20.0, 5.0
"""Seconds in which all this comes to pass on a busy machine, and one step of it."""

MANY = 16
"""Requests that one worker holds."""

VICTIM, HEIR = Writer("w1", "i1"), Writer("w2", "i2")


class Gateway(NamedTuple):
    js: JetStream
    requests: Requests
    partings: Partings


@pytest.fixture
async def gateway(broker: Broker) -> AsyncIterator[Gateway]:
    async with connected(broker, Writer("gateway", "g1")) as bus:
        js, partings, fleet = JetStream(bus), Partings(), Fleet(bus, JetStream(bus))
        await declare(js, Limits())
        await declare_model(js, "m", PATIENCE)
        queue = Queue(js, Crowd(WaitingRoom(), 100), Lanes(fleet), time.time)

        def told(where: RunSubject, event: RunEvent, seq: int) -> None:
            partings.hear(where, event)

        requests = Requests(bus, js, "gw1", told, queue, unlimited())
        await requests.start()
        TakeOver(bus, requests.logs, fleet, partings, requests.background)
        await partings.start(bus)
        yield Gateway(js, requests, partings)
        await requests.close()


@asynccontextmanager
async def connected(broker: Broker, writer: Writer) -> AsyncIterator[Bus]:
    """A process's connection, named as each names its own."""
    user, password = broker.credentials(writer.user)
    bus = await Bus.connect([broker.url], user, password, str(writer))
    try:
        yield bus
    finally:
        await bus.close()


@asynccontextmanager
async def pulling(bus: Bus, slots: int = 1) -> AsyncIterator[asyncio.Queue[Item]]:
    handed: asyncio.Queue[Item] = asyncio.Queue()
    puller = Puller(bus, "m", lambda: slots, handed.put_nowait, lambda reply, why: None)
    task = asyncio.create_task(puller.run())
    try:
        yield handed
    finally:
        task.cancel()


async def asked(gateway: Gateway) -> Track:
    return await gateway.requests.submit(a_request())


async def claim(js: JetStream, track: Track, item: Item) -> None:
    """In the victim's name."""
    event = Claim(uid=new_uid(), n=1, item=item.seq, ack_reply=item.ack_reply, model="m")
    await append_event(js, "gw1", track.rid, VICTIM, event, item.prompt.queued)


async def heard(gateway: Gateway) -> None:
    """The broker has said that the victim's connection ended."""
    while gateway.partings.heard(VICTIM) == NEVER:
        await asyncio.sleep(0.01)


async def handed_to_the_heir(broker: Broker, track: Track) -> None:
    async with connected(broker, HEIR) as heir, pulling(heir) as handed:
        item = await handed.get()
        assert (item.prompt.request.rid, item.deliveries) == (track.rid, 2)


async def test_the_word_comes_behind_the_claim(gateway: Gateway, broker: Broker) -> None:
    async with asyncio.timeout(SOON):
        track = await asked(gateway)
        async with connected(broker, VICTIM) as victim, pulling(victim) as handed:
            await claim(JetStream(victim), track, await handed.get())
            while track.run.n == 0:
                await asyncio.sleep(0.01)
        await handed_to_the_heir(broker, track)


async def test_the_claim_comes_long_after_the_word(gateway: Gateway, broker: Broker) -> None:
    async with asyncio.timeout(SOON):
        track = await asked(gateway)
        async with connected(broker, VICTIM) as victim, pulling(victim) as handed:
            item = await handed.get()
        await heard(gateway)
        await asyncio.sleep(2.0)
        async with connected(broker, Writer("w1", "late")) as late:
            await claim(JetStream(late), track, item)
        await handed_to_the_heir(broker, track)


async def test_the_word_comes_before_the_broker_has_let_go(
    gateway: Gateway, broker: Broker
) -> None:
    """A question may still be brought to whoever is gone, who never answers."""
    async with asyncio.timeout(SOON):
        track = await asked(gateway)
        async with connected(broker, Writer("w1", "ghost")) as ghost:
            await ghost.listen(subjects.ask(VICTIM), lambda msg: None)
            async with connected(broker, VICTIM) as victim, pulling(victim) as handed:
                await claim(JetStream(victim), track, await handed.get())
                while track.run.n == 0:
                    await asyncio.sleep(0.01)
            await heard(gateway)
            await asyncio.sleep(0.1)
        began = time.monotonic()
        await handed_to_the_heir(broker, track)
    assert time.monotonic() - began < AT_ONCE


async def test_each_claim_is_handed_back_once(
    gateway: Gateway, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many come late, and each is an occasion to look. A second time the item may be another's."""
    given: Counter[str] = Counter()

    async def counted(bus: Bus, ack_reply: str) -> None:
        given[ack_reply] += 1
        await nak(bus, ack_reply)

    monkeypatch.setattr(takeover, "nak", counted)
    async with asyncio.timeout(SOON):
        tracks = {track.rid: track for track in [await asked(gateway) for _ in range(MANY)]}
        async with connected(broker, VICTIM) as victim, pulling(victim, MANY) as handed:
            items = [await handed.get() for _ in tracks]
        await heard(gateway)
        async with connected(broker, HEIR) as heir, pulling(heir, 4 * MANY) as handed:
            async with connected(broker, Writer("w1", "late")) as late:
                for item in items:
                    await claim(JetStream(late), tracks[item.prompt.request.rid], item)
            again = [await handed.get() for _ in tracks]
            await asyncio.sleep(LOOKS * PAUSE)
            assert handed.empty() and {item.deliveries for item in again} == {2}
    assert given == Counter({item.ack_reply: 1 for item in items})


async def test_a_claim_that_is_known_late_moves_on_as_well(
    gateway: Gateway, broker: Broker
) -> None:
    """The request's story is being read: what comes of it live is held back meanwhile."""
    async with asyncio.timeout(SOON):
        track = await asked(gateway)
        async with connected(broker, VICTIM) as victim, pulling(victim) as handed:
            item = await handed.get()
            held: list[Stored] = []
            track.held = held
            await claim(JetStream(victim), track, item)
            while not held:
                await asyncio.sleep(0.01)
        await heard(gateway)
        await asyncio.sleep(2 * PAUSE)
        track.held = None
        for stored in held:
            apply({track.rid: track.run}, stored)
        await handed_to_the_heir(broker, track)


def test_a_word_that_comes_meanwhile_is_not_forgotten() -> None:
    """It was asked upon a first parting, and has answered; then it died."""
    partings = Partings()
    partings._heard[VICTIM] = 1.0
    first = partings.heard(VICTIM)
    partings._heard[VICTIM] = 2.0
    partings.forget(VICTIM, first)
    assert partings.heard(VICTIM) == 2.0
    partings.forget(VICTIM, 2.0)
    assert partings.heard(VICTIM) == NEVER


async def test_who_is_back_keeps_what_it_claims(gateway: Gateway, broker: Broker) -> None:
    """It had lost its connection only; and it is asked no more then, with each of its claims."""
    questions = asked_first = 0

    async def lives(subject: str, data: bytes) -> Alive:
        nonlocal questions
        questions += 1
        return Alive(holding=True)

    async with asyncio.timeout(SOON):
        tracks = [await asked(gateway) for _ in range(2)]
        async with connected(broker, VICTIM):
            pass
        await heard(gateway)
        async with connected(broker, VICTIM) as back, pulling(back) as handed:
            await back.serve(subjects.ask(VICTIM), lives)
            for track in tracks:
                await claim(JetStream(back), track, await handed.get())
                while track.run.n == 0 or not questions:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(LOOKS * PAUSE + 0.5)
                asked_first = asked_first or questions
            assert handed.empty()
        assert questions == asked_first
        assert all(track.run.claimants == [VICTIM] for track in tracks)
