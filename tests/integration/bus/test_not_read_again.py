"""On a real broker: what was heard live is not read again, and whatever was not is."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import Bus, Callback
from mesh.bus.follow import CHECK, Follower
from mesh.bus.jetstream import JetStream
from mesh.bus.overheard import Overheard
from mesh.bus.stored import Stored, fence
from mesh.bus.tail import Tail
from mesh.gateway import wiring
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.events import Cancel, Queued
from mesh.protocol.frames import Frame
from mesh.protocol.subjects import Writer
from mesh.settings import GatewaySettings
from tests.conftest import Broker
from tests.integration.bus.conftest import Connect, a_request
from tests.integration.bus.test_follow import Author, Write, author, counted, ended

__all__ = ["author"]

WRITER = Writer("gateway", "a")
SOON = 30.0
"""Seconds: far more than hearing so little takes."""


class Counting(JetStream):
    """Counts how often a part of a stream is read."""

    reads = 0

    async def read(
        self, stream: str, subject: str, start: int, upto: int
    ) -> AsyncIterator[list[Stored]]:
        self.reads += 1
        async for batch in super().read(stream, subject, start, upto):
            yield batch


class Gateway:
    """What a gateway has to hear with: a follower of `gw1`, and a tail that is told what it heard.

    Both count how often they read the log.
    """

    def __init__(self, bus: Bus) -> None:
        self.js, self.looking = Counting(bus), Counting(bus)
        self.overheard = Overheard()
        self.follower = Follower(bus, self.js, "gw1", overheard=self.overheard)
        self.tail = Tail(bus, self.looking, overheard=self.overheard)

    async def heard(self, seq: int) -> None:
        """Wait until a message was heard."""
        async with asyncio.timeout(SOON):
            while not self.overheard.covers(seq):
                await asyncio.sleep(0.005)

    async def compare(self) -> None:
        """As `watch` does once a second."""
        await self.follower._check()


@pytest.fixture
async def ours(connect: Connect, js: JetStream) -> AsyncIterator[Gateway]:
    ours = Gateway(await connect("gateway"))
    await ours.follower.start()
    yield ours
    await ours.follower.stop()


async def lossy(bus: Bus, monkeypatch: pytest.MonkeyPatch, lost: Callable[[Msg], bool]) -> Gateway:
    """A gateway that does not hear some of what comes live; what it reads arrives."""
    listen = bus.listen

    async def listening(subject: str, callback: Callback, queue: str = "") -> Subscription:
        def hear(msg: Msg) -> None:
            if not lost(msg):
                callback(msg)

        return await listen(subject, hear, queue)

    gateway = Gateway(bus)
    with monkeypatch.context() as patch:
        patch.setattr(bus, "listen", listening)
        await gateway.follower.start()
    return gateway


async def two_answers(author: Write) -> tuple[Author, Author]:
    first, second = await author("r1", "w1"), await author("r2", "w2")
    for each in (first, second):
        await each.queue()
        await each.claim()
        await each.write(5)
    return first, second


async def test_who_heard_all_asks_for_nothing_of_the_log_when_it_compares(
    ours: Gateway, js: JetStream, author: Write
) -> None:
    tracks = [ours.follower.track(rid) for rid in ("r1", "r2")]
    for writer in await two_answers(author):
        await ours.heard(await js.end(subjects.RUN_STREAM))
        await ours.compare()
        await writer.write(5)
        await writer.finish()
    end = await js.end(subjects.RUN_STREAM)
    await ours.heard(end)
    await ours.compare()
    assert (ours.js.reads, ours.follower.fills) == (0, 0)
    assert ours.follower._sound == end
    assert [(await ended(track)).texts for track in tracks] == [counted(10)] * 2


async def test_who_missed_one_in_the_middle_reads_it_when_it_compares(
    connect: Connect, js: JetStream, author: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = await lossy(await connect("gateway"), monkeypatch, lambda msg: b'"done"' in msg.data)
    track = ours.follower.track("r1")
    first, second = await two_answers(author)
    await first.finish()
    missed = await js.end(subjects.RUN_STREAM)
    await second.write(5)
    await ours.heard(await js.end(subjects.RUN_STREAM))
    assert track.run.end is None and ours.js.reads == 0, "nothing that was heard speaks of it"
    await ours.compare()
    assert ours.js.reads > 0
    run = await ended(track)
    assert run.texts == counted(5) and run.sealed() and run.last == missed
    assert ours.follower.fills == 1
    async with asyncio.timeout(SOON):
        while ours.follower._filling is not None:
            await asyncio.sleep(0.005)
    reads = ours.js.reads
    await second.write(5)
    await ours.heard(await js.end(subjects.RUN_STREAM))
    await ours.compare()
    assert ours.js.reads == reads, "from there on all was heard"
    second.leave()
    await ours.follower.stop()


async def queue(js: JetStream, reply: str) -> int:
    request = a_request(reply=reply)
    event = Queued(uid=new_uid(), request=request)
    return await append_event(js, reply, request.rid, WRITER, event, 0)


@pytest.fixture
async def worker(connect: Connect) -> JetStream:
    """Of one that is called like a kind of message."""
    return JetStream(await connect("evt"))


async def speak(worker: JetStream, reply: str) -> int:
    """Append a frame of tokens."""
    subject = subjects.tokens(reply, Writer("evt", "evt"))
    return await worker.append(subject, encode(Frame([])))


async def read(tail: Tail, end: int, after: int = 0) -> list[tuple[int, str, bytes, float]]:
    """The events after a sequence, each with what is told of it whichever way it came."""
    batches = tail.upto(end, after, 1024)
    found = [stored async for batch in batches for stored in batch]
    return [(each.seq, each.subject, each.data, each.at) for each in found]


async def test_what_was_heard_is_what_would_have_been_read(
    ours: Gateway, js: JetStream, worker: JetStream
) -> None:
    for _ in range(5):
        await queue(js, "gw1")
        await speak(worker, "gw1")
    end = await js.end(subjects.RUN_STREAM)
    await ours.heard(end)
    events = await read(ours.tail, end)
    assert ours.looking.reads == 0
    assert events == await read(Tail(js.bus, js), end) and len(events) == 5
    assert [seq for seq, *_ in await read(ours.tail, end, events[2][0])] == [
        seq for seq, *_ in events[3:]
    ]
    assert ours.looking.reads == 0


async def test_what_was_stored_just_now_is_waited_for_rather_than_read(
    ours: Gateway, js: JetStream
) -> None:
    """It may be answered that it is stored before it is heard."""
    for _ in range(20):
        end = await queue(js, "gw1")
        assert [seq for seq, *_ in await read(ours.tail, end, end - 1)] == [end]
    assert ours.looking.reads < 10, "some may come late on a busy computer"


async def test_with_others_in_between_all_is_told_once_and_in_order(
    ours: Gateway, js: JetStream, worker: JetStream
) -> None:
    """Now some of us write, now others, and somebody reads on all the while."""

    async def write() -> None:
        for k in range(120):
            await queue(js, "gw1")
            await speak(worker, "gw1")
            if k % 20 < 5:
                await (queue(js, "gw2") if k % 2 else speak(worker, "gw2"))
            await asyncio.sleep(0.002)

    told: list[tuple[int, str, bytes, float]] = []
    heard, writing = 0, asyncio.create_task(write())
    async with asyncio.timeout(SOON):
        while not writing.done():
            end, reads = await ours.tail.last(), ours.looking.reads
            found = await read(ours.tail, end, told[-1][0] if told else 0)
            told += found
            heard += len(found) if ours.looking.reads == reads else 0
            await asyncio.sleep(0.01)
    await writing
    end = await js.end(subjects.RUN_STREAM)
    told += await read(ours.tail, end, told[-1][0])
    assert told == await read(Tail(js.bus, js), end)
    assert len({subject.split(".")[2] for _, subject, *_ in told}) == 2
    assert heard > 0 and ours.looking.reads > 0, "some of it either way"


async def test_what_was_lost_is_told_as_well(
    connect: Connect, js: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = [4, 5, 9]

    def unheard(msg: Msg) -> bool:
        return int((msg.headers or {})["Nats-Sequence"]) in lost

    ours = await lossy(await connect("gateway"), monkeypatch, unheard)
    for _ in range(10):
        await queue(js, "gw1")
    await ours.heard(10)
    for after in range(10):
        reads = ours.looking.reads
        events = await read(ours.tail, 10, after)
        assert [seq for seq, *_ in events] == list(range(after + 1, 11))
        assert (ours.looking.reads == reads) is (after == 9)
    await ours.follower.stop()


async def test_an_event_with_a_fence_is_told_with_it(ours: Gateway, js: JetStream) -> None:
    """Whoever applies what is told asks for it."""
    subject = subjects.event("gw1", "r1", WRITER)
    request = a_request("r1")
    last = await append_event(js, "gw1", "r1", WRITER, Queued(uid="q", request=request), 0)
    headers = fence(last, subjects.events_of("r1"))
    last = await js.append(subject, encode(Cancel(uid="x")), headers)
    await ours.heard(last)
    found = ours.overheard.between(0, last)
    plain = [stored for batch in [await Tail(js.bus, js).read(0, 10)] for stored in batch]
    assert found is not None
    assert [each.expected for each in found] == [each.expected for each in plain] == [0, last - 1]


async def test_a_gateway_that_is_alone_at_the_log_reads_nothing_that_it_heard(
    broker: Broker, js: JetStream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither whoever looks at what befalls requests does, nor whoever compares."""
    name, password = broker.credentials("gateway")
    settings = GatewaySettings(
        data_dir=str(tmp_path),
        nats=broker.url,
        gateway_password=password,
        token_secret="s" * 64,
        gateway_name="gw1",
    )
    bus = await Bus.connect([broker.url], name, password)
    services = await wiring.wire(settings, bus)
    await asyncio.sleep(2 * CHECK)  # it reads what is open as it starts
    plain, reads = JetStream.read, Counter[str]()

    def counting(
        self: JetStream, stream: str, subject: str, start: int, upto: int
    ) -> AsyncIterator[list[Stored]]:
        reads[subject] += self.bus is bus  # others' in this process read on
        return plain(self, stream, subject, start, upto)

    monkeypatch.setattr(JetStream, "read", counting)
    monkeypatch.setattr("mesh.bus.tail.ON_ITS_WAY", SOON)  # on a busy machine

    async def seen(end: int) -> None:
        async with asyncio.timeout(SOON):
            while end not in {each.seq for each in happenings}:
                await asyncio.sleep(0.01)
        await asyncio.sleep(2 * CHECK)

    happenings = services.lookout.happenings
    try:
        with services.lookout.watching():
            for _ in range(5):
                end = await queue(js, "gw1")
                await asyncio.sleep(0.1)
            await seen(end)
            assert not reads[subjects.RUN_EVENTS] and not reads[subjects.log_of("gw1")], reads
            monkeypatch.setattr("mesh.bus.tail.ON_ITS_WAY", 0.0)
            for reply in ("gw2", "gw1"):
                end = await queue(js, reply)
            await seen(end)
            assert reads[subjects.RUN_EVENTS] and reads[subjects.log_of("gw1")], reads
            seqs = [each.seq for each in happenings]
        assert seqs == [seq for seq, *_ in await read(Tail(js.bus, js), seqs[-1])]
    finally:
        await services.requests.close()
        await bus.close()
