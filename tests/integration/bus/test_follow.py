"""A follower hears everything once and in order, whatever the wire swallows."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from mesh.bus.api import StreamInfo
from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import Bus
from mesh.bus.follow import Follower, Track
from mesh.bus.frames import FrameWriter
from mesh.bus.history import story
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import fence
from mesh.bus.topology import declare
from mesh.protocol import subjects
from mesh.protocol.events import Claim, Done, Failed, Queued
from mesh.protocol.run import Run
from mesh.protocol.subjects import Writer
from mesh.settings import Limits
from tests.conftest import Broker
from tests.integration.bus.conftest import Connect, a_request
from tests.proxy import Proxy

GATEWAY = Writer("gateway", "a")


class Author:
    """Writes a request's story as a worker would."""

    def __init__(self, js: JetStream, mine: JetStream, rid: str) -> None:
        self.rid = rid
        self.writer = Writer(mine.bus.user, new_uid())
        self._js, self._mine = js, mine
        self._frames = FrameWriter(mine, "gw1", self.writer)
        self._running = asyncio.create_task(self._frames.run())
        self._run = Run()
        self._last = 0

    async def queue(self) -> None:
        event = Queued(uid=new_uid(), request=a_request(self.rid))
        self._last = await append_event(self._js, "gw1", self.rid, GATEWAY, event, 0)

    async def claim(self, n: int = 1, last: int = 0, texts: tuple[str, ...] = ()) -> int:
        self._run = Run(texts=list(texts), ids=None)
        event = Claim(uid=new_uid(), n=n, item=1, ack_reply="a", model="m")
        self._n = n
        self._last = await append_event(
            self._mine, "gw1", self.rid, self.writer, event, last or self._last
        )
        return self._last

    async def write(self, count: int) -> None:
        for _ in range(count):
            await self.say(f"{len(self.said)} ")

    async def say(self, text: str) -> None:
        """Write one piece, and wait until it is stored."""
        self._frames.put(self.rid, self._n, len(self.said), text, None)
        self.said.append(text)
        await self._frames.stored(self.rid, self._n)

    @property
    def said(self) -> list[str]:
        """The answer up to now, as its writer sees it."""
        return self._run.texts

    def follow_on(self, seq: int) -> None:
        """Another's event is the last one of the story now."""
        self._last = seq

    async def finish(self) -> None:
        self._run.ids = None
        event = Done(uid=new_uid(), finish="stop", text=self._run.text, seal=self._run.seal())
        self._last = await append_event(self._mine, "gw1", self.rid, self.writer, event, self._last)
        self._running.cancel()

    def leave(self) -> None:
        """Write no more."""
        self._running.cancel()


Write = Callable[[str, str], Awaitable[Author]]


@pytest.fixture
def author(js: JetStream, connect: Connect) -> Write:
    async def author(rid: str, worker: str = "w1") -> Author:
        return Author(js, JetStream(await connect(worker)), rid)

    return author


async def ended(track: Track) -> Run:
    async with asyncio.timeout(60):
        while track.run.end is None:
            await track.changed()
    return track.run


async def follow(bus: Bus) -> Follower:
    follower = Follower(bus, JetStream(bus), "gw1")
    await follower.start()
    return follower


def counted(count: int) -> list[str]:
    return [f"{k} " for k in range(count)]


async def test_a_request_is_followed_live(gateway: Bus, author: Write) -> None:
    follower, writer = await follow(gateway), await author("r1", "w1")
    track = follower.track("r1")
    await writer.queue()
    await writer.claim()
    await writer.write(30)
    await writer.finish()
    run = await ended(track)
    assert run.texts == counted(30)
    assert run.sealed()
    assert follower.fills == 0


async def test_what_the_wire_swallowed_is_read_again(
    broker: Broker, gateway: Bus, author: Write
) -> None:
    name, password = broker.credentials("gateway")
    async with Proxy(broker.port) as proxy:
        bus = await Bus.connect([proxy.url], name, password)
        follower, writer = await follow(bus), await author("r1", "w1")
        track = follower.track("r1")
        await writer.queue()
        await writer.claim()
        await writer.write(5)
        proxy.deaf = True
        await writer.write(5)
        proxy.cut()
        await writer.write(5)
        await writer.finish()
        run = await ended(track)
        assert run.texts == counted(15)
        assert run.sealed()
        await bus.close()


async def test_a_tail_that_vanished_without_a_sign_is_found_by_looking(
    broker: Broker, gateway: Bus, author: Write
) -> None:
    """The last messages are lost, nothing follows them, and the connection stays whole."""
    follower, writer = await follow(gateway), await author("r1", "w1")
    watching = asyncio.create_task(follower.watch())
    track = follower.track("r1")
    await writer.queue()
    await writer.claim()
    await writer.write(3)
    while len(track.run.texts) < 3:
        await track.changed()
    deafened = [sub for sub in gateway.client._subs.values() if ".live." in sub.subject]
    for sub in deafened:
        await sub.unsubscribe()
    await writer.write(4)
    await writer.finish()
    run = await ended(track)
    watching.cancel()
    assert run.texts == counted(7)
    assert follower.fills > 0


async def test_a_token_lost_before_a_claim_is_mended(
    gateway: Bus, js: JetStream, author: Write
) -> None:
    """The reader has applied the successor's claim before it learns what it missed."""
    follower = await follow(gateway)
    first, second = await author("r1", "w1"), await author("r1", "w2")
    track = follower.track("r1")
    await first.queue()
    last = await first.claim()
    await first.write(2)
    while len(track.run.texts) < 2:
        await track.changed()
    for sub in [sub for sub in gateway.client._subs.values() if ".live." in sub.subject]:
        await sub.unsubscribe()
    await first.write(1)
    await gateway.listen(subjects.live("gw1"), follower._receive)
    await second.claim(2, last, tuple(counted(3)))
    await second.write(2)
    await second.finish()
    run = await ended(track)
    assert run.texts == counted(5)
    assert run.sealed()


async def test_a_late_reader_gets_the_whole_story(gateway: Bus, author: Write) -> None:
    writer = await author("r1", "w1")
    await writer.queue()
    await writer.claim()
    await writer.write(10)
    follower = await follow(gateway)
    tracks = await asyncio.gather(*(follower.attach("r1") for _ in range(5)))
    assert len({id(track) for track in tracks}) == 1
    track = tracks[0]
    assert track is not None
    assert track.run.texts == counted(10)
    await writer.write(5)
    await writer.finish()
    assert (await ended(track)).texts == counted(15)


async def test_reading_while_it_is_written_misses_nothing(gateway: Bus, author: Write) -> None:
    follower = await follow(gateway)
    writer = await author("r1", "w1")
    await writer.queue()
    await writer.claim()
    writing = asyncio.create_task(writer.write(200))
    await asyncio.sleep(0.05)
    track = await follower.attach("r1")
    assert track is not None
    await writing
    await writer.finish()
    run = await ended(track)
    assert run.texts == counted(200)
    assert run.sealed()


async def test_asking_again_while_it_is_read_takes_it_from_nobody(
    gateway: Bus, author: Write
) -> None:
    writer = await author("r1", "w1")
    await writer.queue()
    await writer.claim()
    await writer.write(10)
    follower = await follow(gateway)
    attaching = asyncio.create_task(follower.attach("r1"))
    while follower.tracks.get("r1") is None:
        await asyncio.sleep(0)
    assert follower.tracks.ready("r1") is None  # its story is being read
    begun = follower.track("r1")  # by another try, which had looked before it was in the log
    follower.tracks.forsake(begun)  # for it was in the log already
    track = await attaching
    assert track is begun
    await writer.write(5)
    await writer.finish()
    assert (await ended(track)).texts == counted(15)


async def test_who_is_about_to_queue_what_is_there_already_hears_its_story(
    gateway: Bus, author: Write
) -> None:
    writer = await author("r1", "w1")
    await writer.queue()
    follower = await follow(gateway)
    begun = follower.track("r1")
    assert await follower.attach("r1") is begun  # for another try, which has found it
    assert begun.run.queued is not None
    await writer.claim()
    await writer.write(5)
    await writer.finish()
    assert (await ended(begun)).texts == counted(5)


async def test_a_request_that_never_was_cannot_be_attached(gateway: Bus) -> None:
    follower = await follow(gateway)
    assert await follower.attach("nothing") is None


async def test_readers_survive_a_broker_restart(
    broker: Broker, gateway: Bus, author: Write
) -> None:
    async with AsyncExitStack() as stack:
        follower = await follow(gateway)
        watching = asyncio.create_task(follower.watch())
        stack.callback(watching.cancel)
        writers = [await author(f"r{k}", f"w{k}") for k in range(3)]
        tracks = [follower.track(writer.rid) for writer in writers]
        for writer in writers:
            await writer.queue()
            await writer.claim()
        writing = asyncio.gather(*(writer.write(300) for writer in writers))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        await writing
        for writer in writers:
            await writer.finish()
        for track in tracks:
            run = await ended(track)
            assert run.texts == counted(300)
            assert run.sealed()


async def test_what_is_missed_while_the_log_is_read_is_read_as_well(
    gateway: Bus, author: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second cut during the first one's repair: its loss lies behind the target, and nothing
    that comes later speaks of it."""
    follower = await follow(gateway)
    first, second = await author("r1", "w1"), await author("r2", "w2")
    track, other = follower.track("r1"), follower.track("r2")
    for each in (first, second):
        await each.queue()
        await each.claim()
        await each.write(3)
    reading, go_on = asyncio.Event(), asyncio.Event()
    leader = follower._leader

    async def slow_leader() -> int:
        target = await leader()
        reading.set()
        await go_on.wait()
        return target

    monkeypatch.setattr(follower, "_leader", slow_leader)
    follower.doubt()
    await reading.wait()
    await first.finish()
    async with asyncio.timeout(60):
        while not follower._backlog:
            await asyncio.sleep(0.01)
    follower._backlog.clear()
    follower.doubt()
    await second.write(2)
    go_on.set()
    assert (await ended(track)).sealed()
    await second.finish()
    assert (await ended(other)).texts == counted(5)


async def test_an_event_of_a_kind_that_nobody_knows_yet_is_passed_over(
    gateway: Bus, js: JetStream, author: Write
) -> None:
    """A newer version may have written it; whoever appends next follows on it all the same."""
    follower, writing = await follow(gateway), await author("r1", "w1")
    track = follower.track("r1")
    await writing.queue()
    last = await writing.claim()
    await writing.write(5)
    subject = subjects.event("gw1", "r1", GATEWAY)
    event = b'{"type": "added_later", "uid": "u"}'
    last = await js.append(subject, event, fence(last, subjects.events_of("r1")))
    standing = await story(js, "r1")
    assert standing is not None and standing.last == last
    writing.follow_on(last)
    await writing.write(5)
    await writing.finish()
    assert len((await ended(track)).texts) == 10
    assert follower.fills == 0


async def lose_the_log(broker: Broker, js: JetStream) -> None:
    """Somebody removes the broker's streams, and they are declared anew."""
    broker.kill()
    shutil.rmtree(broker.folder.streams)
    await asyncio.to_thread(broker.start)
    async with asyncio.timeout(60):
        while not js.bus.connected:
            await asyncio.sleep(0.05)
    await declare(js, Limits())


async def test_who_reads_what_the_log_has_lost_is_told(
    broker: Broker, gateway: Bus, js: JetStream, author: Write
) -> None:
    """The gateway began with an empty log, so that the new one is no shorter than that was."""
    heard: list[str] = []
    follower = Follower(gateway, js, "gw1", lambda where, event, seq: heard.append(where.rid))
    await follower.start()
    writer, other = await author("r1", "w1"), await author("r2", "w2")
    track, later = follower.track("r1"), follower.track("r2")
    await writer.queue()
    await writer.claim()
    await writer.write(3)
    while len(track.run.texts) < 3:
        await track.changed()
    await lose_the_log(broker, js)
    end = (await ended(track)).end
    assert isinstance(end, Failed) and end.detail.endswith("ask again.")
    assert heard.count("r1") == 3, "who counts the requests is told as well"
    assert later.run.end is None, "it had not begun"
    await other.queue()
    await other.claim()
    await other.write(3)
    await other.finish()
    assert (await ended(later)).texts == counted(3)
    writer.leave()


class Earlier(JetStream):
    """As if its leader had just become one, and had not got the last messages yet."""

    missing = 0

    async def stream_info(self, stream: str, subject: str = "") -> StreamInfo:
        info = await super().stream_info(stream, subject)
        info.state.last_seq -= self.missing
        return info


async def test_an_older_answer_of_a_cluster_that_comes_together_is_not_taken_for_another_log(
    gateway: Bus, author: Write
) -> None:
    before, writer = await author("r0", "w0"), await author("r1", "w1")
    await before.queue()
    await before.claim()
    await before.write(3)
    js = Earlier(gateway)
    follower = Follower(gateway, js, "gw1")
    await follower.start()
    watching = asyncio.create_task(follower.watch())
    track = follower.track("r1")
    await writer.queue()
    await writer.claim()
    await writer.write(3)
    while len(track.run.texts) < 3:
        await track.changed()
    js.missing = 7
    follower.doubt()  # it was apart as well
    await asyncio.sleep(3.0)
    assert track.run.end is None and track.run.texts == counted(3)
    await writer.write(3)
    js.missing = 0
    await writer.finish()
    run = await ended(track)
    watching.cancel()
    assert run.texts == counted(6) and run.sealed()
    before.leave()
