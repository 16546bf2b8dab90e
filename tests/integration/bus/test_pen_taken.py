"""What nobody ends is ended by a gateway that takes the pen first: its end says what was written,
whatever of that the gateway had heard.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from msgspec.structs import replace

from mesh.bus.appender import append_event
from mesh.bus.connection import Bus
from mesh.bus.history import last_event, story
from mesh.bus.jetstream import JetStream
from mesh.bus.replay import Replays
from mesh.bus.track import Track
from mesh.gateway import endings as endings_
from mesh.gateway.deadlines import OBEYING
from mesh.gateway.endings import Endings
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancel, Cancelled, Done, Failed, Queued, RunEvent
from mesh.protocol.run import Run
from mesh.protocol.subjects import Writer
from tests.integration.bus.conftest import Connect, a_request
from tests.integration.bus.test_follow import GATEWAY, Author

RID = "r1"


async def whole(js: JetStream) -> Run:
    """The request as every reader of the log has it."""
    known = await story(js, RID)
    assert known is not None and known.queued is not None
    return await Replays(js).run(RID, known.queued, known.queued_at, known.last)


@pytest.fixture
async def author(js: JetStream, connect: Connect) -> AsyncIterator[Author]:
    """A worker that has written three pieces, and writes no end."""
    author = Author(js, JetStream(await connect("w1")), RID)
    await author.queue()
    await author.claim()
    await author.write(3)
    yield author
    author.leave()


async def end_it(gateway: Bus, js: JetStream) -> Run:
    """Let a gateway see to the request, long past its deadline, that has heard its events only."""
    heard = await story(js, RID)
    assert heard is not None and not heard.texts
    track = Track(RID, heard.queued_at)
    track.run = heard
    endings = Endings(gateway, js, GATEWAY, lambda: 5e9)
    endings.see_to(track)
    watching = asyncio.create_task(endings.watch())
    try:
        async with asyncio.timeout(10):
            while (run := await whole(js)).end is None:
                await asyncio.sleep(0.05)
        return run
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def test_an_end_past_a_deadline_says_what_was_written(
    gateway: Bus, js: JetStream, author: Author
) -> None:
    run = await end_it(gateway, js)
    assert isinstance(run.end, Failed) and run.end.code is ErrorCode.DEADLINE_EXCEEDED
    assert run.end.text == run.text == "0 1 2 "
    assert run.end.seal is not None and run.sealed()
    assert run.end.usage.completion_tokens == 3


async def test_what_its_holder_writes_on_counts_for_nothing(
    gateway: Bus, js: JetStream, author: Author
) -> None:
    """It was frozen, or cut off, when its pen was taken."""
    known = await story(js, RID)
    assert known is not None and known.worker == known.pen
    run = await end_it(gateway, js)
    await author.write(1)
    assert (await whole(js)).text == run.text
    assert run.n == 2 and run.worker == known.worker, "a gateway is no worker"


async def test_what_has_ended_is_not_ended_again(
    gateway: Bus, js: JetStream, author: Author
) -> None:
    """A gateway that was frozen finds its time over, and hears of its end in the next moment."""
    await author.finish()
    ended = await story(js, RID)
    assert ended is not None and isinstance(ended.end, Done)
    track = Track(RID, ended.queued_at)
    track.run = ended
    await Endings(gateway, js, GATEWAY, lambda: 5e9).overdue(track)
    assert (last := await last_event(js, RID)) is not None and last.seq == ended.last


async def test_what_was_to_be_cancelled_is(gateway: Bus, js: JetStream, author: Author) -> None:
    known = await story(js, RID)
    assert known is not None and known.queued is not None
    track = Track(RID, known.queued_at)
    track.run = known
    await Endings(gateway, js, GATEWAY).cancel(track)
    run = await end_it(gateway, js)
    assert isinstance(run.end, Cancelled)
    assert run.end.text == "0 1 2 " and run.sealed()


async def test_what_nobody_obeys_is_cancelled_long_before_its_deadline(
    gateway: Bus, js: JetStream, author: Author
) -> None:
    """Its holder is gone for good, and there is no other worker to take it over."""
    known = await story(js, RID)
    assert known is not None
    track = Track(RID, known.queued_at)
    track.run = known
    clock = [1000.0]
    endings = Endings(gateway, js, GATEWAY, lambda: clock[0])
    await endings.cancel(track)
    asked = await story(js, RID)
    assert asked is not None and asked.cancel
    track.run = asked
    run = await ended_in_time(js, endings, clock)
    assert isinstance(run.end, Cancelled) and run.end.usage.completion_tokens == 3


async def test_what_was_withdrawn_by_an_append_that_nobody_answered_ends(
    gateway: Bus, js: JetStream, connect: Connect
) -> None:
    """The order had landed; whoever tries again finds it there, and nobody has claimed it."""
    author = Author(js, JetStream(await connect("w1")), RID)
    await author.queue()
    known = await story(js, RID)
    assert known is not None
    asked = Cancel(uid="k", withdrawn=True)
    await append_event(js, "gw1", RID, GATEWAY, asked, known.last)
    track = Track(RID, known.queued_at)
    track.run = await whole(js)
    assert track.run.cancel
    await Endings(gateway, js, GATEWAY).cancel(track, withdrawn=True)
    author.leave()
    assert isinstance((await whole(js)).end, Cancelled)


async def ended_in_time(js: JetStream, endings: Endings, clock: list[float]) -> Run:
    """Let a gateway watch for longer than others have to obey, and not less."""
    watching = asyncio.create_task(endings.watch())
    try:
        await asyncio.sleep(1.5)
        assert (await whole(js)).end is None, "others have their time"
        clock[0] += OBEYING + 1
        async with asyncio.timeout(10):
            while (run := await whole(js)).end is None:
                await asyncio.sleep(0.05)
        return run
    finally:
        watching.cancel()


async def ended_by(gateway: Bus, js: JetStream, track: Track) -> Run:
    """Let a gateway see to a request whose deadline is far."""
    clock = [1000.0]
    endings = Endings(gateway, js, GATEWAY, lambda: clock[0])
    endings.see_to(track)
    return await ended_in_time(js, endings, clock)


async def appended(js: JetStream, event: RunEvent, last: int) -> Track:
    """The request as it stands after an event of a gateway that has died since."""
    await append_event(js, "gw1", RID, Writer("gateway", "dead"), event, last)
    run = await story(js, RID)
    assert run is not None
    track = Track(RID, run.queued_at)
    track.run = run
    return track


async def test_what_a_gateway_that_died_was_asked_to_stop_is_stopped_by_another(
    gateway: Bus, js: JetStream, author: Author
) -> None:
    known = await story(js, RID)
    assert known is not None
    run = await ended_by(gateway, js, await appended(js, Cancel(uid="k"), known.last))
    assert isinstance(run.end, Cancelled) and run.end.text == "0 1 2 "


async def test_what_a_gateway_has_taken_the_pen_of_and_died_is_ended_by_another(
    gateway: Bus, js: JetStream, author: Author
) -> None:
    """What its worker writes since counts for nothing, and its end neither."""
    known = await story(js, RID)
    assert known is not None and known.claim is not None
    taking = replace(known.claim, uid="k", n=known.n + 1)
    run = await ended_by(gateway, js, await appended(js, taking, known.last))
    assert isinstance(run.end, Failed) and run.end.text == "0 1 2 " and run.sealed()


async def test_one_that_cannot_be_ended_costs_no_other_its_end(
    gateway: Bus,
    js: JetStream,
    author: Author,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is said which, and it is tried again."""
    monkeypatch.setattr(endings_, "LATER", 0.5)
    bad, tried = await queued(js, "bad"), []
    good = await story(js, RID)
    assert good is not None

    def pause(model: str) -> float:
        tried.append(model)
        raise ValueError("nobody foresaw that")

    endings = Endings(gateway, js, GATEWAY, lambda: 5e9)
    endings.pause = pause
    endings.see_to(bad)
    watching = asyncio.create_task(endings.watch())
    try:
        async with asyncio.timeout(20):
            while not tried:
                await asyncio.sleep(0.05)
            track = Track(RID, good.queued_at)
            track.run = good
            endings.see_to(track)
            while (await whole(js)).end is None or len(tried) < 2:
                await asyncio.sleep(0.05)
        assert not watching.done()
        (said, *_) = [each.getMessage() for each in caplog.records if each.exc_info]
        assert said.startswith("bad could not be ended")
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def queued(js: JetStream, rid: str) -> Track:
    """A request that nobody has claimed."""
    event = Queued(uid=rid, request=a_request(rid))
    await append_event(js, "gw1", rid, GATEWAY, event, 0)
    run = await story(js, rid)
    assert run is not None
    track = Track(rid, run.queued_at)
    track.run = run
    return track
