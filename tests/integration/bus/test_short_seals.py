"""What a worker gone mad says of pieces that nobody wrote keeps nobody waiting."""

import asyncio

from msgspec.structs import replace

from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import Bus
from mesh.bus.follow import Follower, Track
from mesh.bus.jetstream import JetStream
from mesh.bus.replay import Replayer
from mesh.bus.stored import fence
from mesh.bus.tracks import SHORT
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.events import Done, Failed, RunEvent
from mesh.protocol.frames import Entry, Frame
from mesh.protocol.run import Run
from mesh.protocol.subjects import RunSubject
from tests.integration.bus.test_follow import Author, Write, author, counted, ended

__all__ = ["author"]

SOON = 5.0
"""Seconds: far less than a story is read anew for what the log does not have."""


async def follow(bus: Bus, heard: list[RunEvent] | None = None) -> Follower:
    def hear(where: RunSubject, event: RunEvent, seq: int) -> None:
        if heard is not None:
            heard.append(event)

    follower = Follower(bus, JetStream(bus), "gw1", hear)
    await follower.start()
    return follower


async def begun(follower: Follower, writer: Author) -> Track:
    track = follower.track(writer.rid)
    await writer.queue()
    await writer.claim()
    await writer.write(3)
    return track


async def finish_short(writer: Author, mine: JetStream, last: int) -> None:
    """End an answer by a seal over two pieces more than were written."""
    whole = Run(texts=[*writer.said, "and ", "more"], ids=None)
    end = Done(uid=new_uid(), finish="stop", text=whole.text, seal=whole.seal())
    await append_event(mine, "gw1", writer.rid, writer.writer, end, last)


async def soon(track: Track) -> Run:
    async with asyncio.timeout(SOON):
        return await ended(track)


async def test_an_end_over_pieces_that_were_never_written_is_told_at_once(
    gateway: Bus, author: Write
) -> None:
    heard: list[RunEvent] = []
    follower = await follow(gateway, heard)
    mad, sane = await author("r1", "w1"), await author("r2", "w2")
    spoilt, good = await begun(follower, mad), await begun(follower, sane)
    spoilt.readers += 1
    await finish_short(mad, mad._mine, mad._last)
    await sane.write(3)
    await sane.finish()
    assert (await soon(good)).sealed(), "others do not wait for it"
    run = await soon(spoilt)
    assert isinstance(run.end, Failed) and run.end.detail == SHORT
    assert run.texts == counted(3)
    assert sum(isinstance(event, Done) for event in heard) >= 2, "who counts them hears of both"
    mad.leave()
    await follower.stop()


async def test_who_comes_later_is_told_as_well(gateway: Bus, author: Write) -> None:
    follower, mad = await follow(gateway), await author("r1", "w1")
    await begun(follower, mad)
    await finish_short(mad, mad._mine, mad._last)
    await follower.stop()
    another = await follow(gateway)
    async with asyncio.timeout(SOON):
        track = await another.attach("r1")
    assert track is not None
    run = await soon(track)
    assert isinstance(run.end, Failed) and run.end.detail == SHORT
    mad.leave()
    await another.stop()


async def test_a_replay_ends_with_it(gateway: Bus, author: Write) -> None:
    follower, mad = await follow(gateway), await author("r1", "w1")
    track = await begun(follower, mad)
    await finish_short(mad, mad._mine, mad._last)
    await follower.stop()
    async with asyncio.timeout(SOON):
        run = await Replayer(JetStream(gateway), "gw1").run("r1", track.start)
    assert isinstance(run.end, Done) and run.short and not run.sealed()
    assert replace(run.end, uid="").text == "0 1 2 and more"
    mad.leave()


async def test_pieces_out_of_any_order_keep_nobody_else_waiting(
    gateway: Bus, author: Write
) -> None:
    follower = await follow(gateway)
    mad, sane = await author("r1", "w1"), await author("r2", "w2")
    spoilt, good = await begun(follower, mad), await begun(follower, sane)
    mad.leave()
    subject, last = subjects.tokens("gw1", mad.writer), mad._frames._last
    for _ in range(20):
        frame = encode(Frame([Entry("r1", 1, 100, ["from nowhere "], None)]))
        last = await mad._mine.append(subject, frame, fence(last))
    await sane.write(3)
    await sane.finish()
    assert (await soon(good)).sealed()
    assert spoilt.run.texts == counted(3)
    await follower.stop()
