"""What nobody ends is ended by a gateway that takes the pen first: its end says what was written,
whatever of that the gateway had heard.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from mesh.bus.appender import append_event
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.replay import Replays, last_event, story
from mesh.bus.track import Track
from mesh.gateway.endings import OBEYING, Endings
from mesh.protocol.errors import ErrorCode
from mesh.protocol.messages import Cancel, Cancelled, Done, Failed
from mesh.protocol.run import Run
from tests.integration.bus.conftest import Connect
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
    watching = asyncio.create_task(endings.watch())
    await asyncio.sleep(1.5)
    assert (await whole(js)).end is None, "its holder has its time"
    clock[0] += OBEYING + 1
    async with asyncio.timeout(10):
        while (run := await whole(js)).end is None:
            await asyncio.sleep(0.05)
    watching.cancel()
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
