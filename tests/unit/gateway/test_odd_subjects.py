"""Who reads the log for a gateway goes on behind an entry that it cannot handle."""

import asyncio
import logging
from typing import cast

import pytest

from mesh.bus.follow import Follower
from mesh.bus.jetstream import JetStream
from mesh.bus.lasting import Lasting
from mesh.bus.log_end import Head
from mesh.bus.stored import Stored
from mesh.bus.tail import Tail
from mesh.bus.tracks import Tracks
from mesh.gateway.lookout import Lookout
from mesh.gateway.unfinished import Unfinished
from mesh.gateway.usher import Usher
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.events import Queued, RunEvent
from mesh.protocol.request import Prompt
from mesh.protocol.subjects import Writer
from tests.integration.bus.conftest import a_request
from tests.unit.bus.memory import Clockwork, MemoryLog

GATEWAY = Writer("gateway", "i")
ODD = "m1.run.gw1.evt.r.gateway.i.more"


def queued(seq: int, rid: str, subject: str = "") -> Stored:
    event = Queued(uid="q", request=a_request(rid))
    return Stored(seq, subject or subjects.event("gw1", rid, GATEWAY), encode(event), 0.0)


LOG = [queued(1, "r1"), queued(2, "odd", ODD), queued(3, "r3")]


class Past(Tail):
    """A log of these three; the first one's request is in the queue."""

    def __init__(self) -> None:
        unasked = MemoryLog()
        super().__init__(unasked.bus, unasked.js)

    async def next(self, stream: str, subject: str, seq: int) -> Stored | None:
        return Stored(
            1, subjects.req("tiny", "u"), encode(Prompt(queued=1, request=a_request("r1")))
        )

    async def read(self, after: int, limit: int) -> list[Stored]:
        return [stored for stored in LOG if stored.seq > after][:limit]

    async def head(self) -> Head:
        return Head("now", 3)

    async def last(self) -> int:
        return 3


@pytest.fixture
def tail() -> Tail:
    return Past()


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]


async def test_an_usher_tells_what_is_behind_it(
    tail: Tail, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def hear(rid: str, event: RunEvent, seq: int, at: float) -> None:
        told.append(rid)
        if rid == "r1":
            raise ValueError("nobody foresaw that")

    usher = Usher(cast(JetStream, tail), tail, hear, "gw1", lambda at, batch: None)
    await usher.start()
    assert told == ["r1", "r3"]
    first, second = complaints(caplog)
    assert first.startswith("The log's message 1 ") and second.startswith("The log's message 2 ")


async def test_what_is_unfinished_is_known_behind_it(
    tail: Tail, caplog: pytest.LogCaptureFixture
) -> None:
    unfinished = Unfinished(tail)
    assert set(await unfinished.read()) == {"r1", "r3"}
    assert set(await unfinished.read()) == {"r1", "r3"}
    (said,) = complaints(caplog)
    assert said.startswith("The log's message 2 ")


async def test_a_lookout_shows_what_is_behind_it(
    tail: Tail, caplog: pytest.LogCaptureFixture
) -> None:
    lookout = Lookout(tail, Unfinished(tail), Lasting())
    lookout._tell(LOG)
    assert [each.seq for each in lookout.happenings] == [1, 3]


def test_a_follower_s_tracks_go_on_behind_an_event_that_cannot_be_handled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[int] = []

    def hear(where: object, event: RunEvent, seq: int) -> None:
        heard.append(seq)
        if seq == 1:
            raise ValueError("nobody foresaw that")

    tracks = Tracks("gw1", hear)
    for stored in (LOG[0], LOG[2]):
        assert tracks.apply(subjects.parse_run(stored.subject), stored) == []
    assert heard == [1, 3]
    (said,) = complaints(caplog)
    assert said.startswith("The log's message 1 ")


@pytest.mark.parametrize("live", [True, False])
def test_a_follower_follows_on_behind_it(live: bool, caplog: pytest.LogCaptureFixture) -> None:
    loop, memory = Clockwork(), MemoryLog()

    async def follow() -> None:
        follower = Follower(memory.bus, memory.js, "gw1")
        await follower.start()
        track = follower.track("r3")
        for stored in LOG:
            memory.store(stored.subject, stored.data, 0)
        if live:
            for stored in memory.messages:
                memory.tell(stored)
        else:
            follower.doubt()
        async with asyncio.timeout(60):
            while track.run.queued is None:
                await track.changed()
            while follower._filling is not None:
                await asyncio.sleep(0.1)

    loop.run_until_complete(follow())
    loop.close()
    (said,) = complaints(caplog)
    assert said.startswith("The log's message 2 ")
