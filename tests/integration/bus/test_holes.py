"""What is missing in what was read of the log is noticed, and read again."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import Bus, Callback, Silence, status
from mesh.bus.jetstream import JetStream
from mesh.bus.replay import Replayer
from mesh.bus.stored import Stored
from mesh.bus.tail import Tail
from mesh.protocol import subjects
from mesh.protocol.events import Cancel, Queued
from mesh.protocol.subjects import Writer
from mesh.store import schema
from mesh.store.database import Database
from mesh.store.follower import Follower
from tests.integration.bus.conftest import a_request

WRITER = Writer("gateway", "a")
COUNT = 10
SOON = 30.0
"""Seconds: far more than reading so little takes."""


@pytest.fixture
async def written(js: JetStream) -> int:
    """How many events there are, the last of which is the end of the log."""
    for k in range(COUNT):
        request = a_request(f"r{k}")
        event = Queued(uid=new_uid(), request=request)
        await append_event(js, "gw1", request.rid, WRITER, event, 0)
    return COUNT


def losing(bus: Bus, monkeypatch: pytest.MonkeyPatch, *lost: tuple[int, int]) -> list[str]:
    """Of what the broker says from now on, some does not arrive: the connection was away.

    lost: which message of which batch, both from 0. By batch, for how many messages of one that
    was given up come all the same, before the broker hears of it, is a matter of luck. Returns the
    statuses of the broker's own messages among those that do.
    """
    listen, batches, said = bus.listen, count(), list[str]()

    async def listening(subject: str, callback: Callback, queue: str = "") -> Subscription:
        batch, places = next(batches), count()

        def hear(msg: Msg) -> None:
            if (batch, next(places)) not in lost:
                said.append(status(msg))
                callback(msg)

        return await listen(subject, hear, queue)

    monkeypatch.setattr(bus, "listen", listening)
    return said


async def sequences(js: JetStream) -> list[int]:
    reading = js.read(subjects.RUN_STREAM, subjects.log_of("gw1"), 1, COUNT)
    return [stored.seq async for batch in reading for stored in batch]


@pytest.mark.parametrize(
    "lost",
    [
        [(0, 1)],
        [(0, 4)],
        [(0, 4), (0, 5), (0, 6)],
        [(0, COUNT - 1)],
        [(0, 3), (1, 1)],
    ],
)
async def test_what_was_lost_within_a_batch_is_read_again(
    js: JetStream, written: int, lost: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = losing(js.bus, monkeypatch, *lost)
    assert await sequences(js) == list(range(1, COUNT + 1))
    assert "204" in said, "the rest of the batch came"


async def test_a_batch_whose_beginning_was_lost_is_none(
    js: JetStream, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing(js.bus, monkeypatch, (0, 0))
    with pytest.raises(Silence, match="beginning"):
        await sequences(js)
    assert await sequences(js) == list(range(1, COUNT + 1))


async def test_who_replays_a_request_gets_all_of_it_all_the_same(
    js: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Queued(uid=new_uid(), request=a_request("r"))
    last = start = await append_event(js, "gw1", "r", WRITER, first, 0)
    for _ in range(3):
        last = await append_event(js, "gw1", "r", WRITER, Cancel(uid=new_uid()), last)
    losing(js.bus, monkeypatch, (0, 3))
    async with asyncio.timeout(SOON):
        run = await Replayer(js, "gw1").run("r", start)
    assert run.last == last


class Behind(JetStream):
    """As if the first answers came from a replica that has not got the last events yet."""

    answers = 3

    async def read(
        self, stream: str, subject: str, start: int, upto: int
    ) -> AsyncIterator[list[Stored]]:
        self.answers -= 1
        missing = 4 if self.answers >= 0 else 0
        async for batch in super().read(stream, subject, start, upto - missing):
            yield batch


async def test_a_replica_that_lags_behind_is_not_the_end_of_the_log(
    js: JetStream, written: int
) -> None:
    tail = Tail(js.bus, Behind(js.bus))
    assert [stored.seq for stored in await tail.read(0, 100)] == list(range(1, COUNT + 1))
    tail = Tail(js.bus, Behind(js.bus))
    assert [stored.seq for stored in await tail.read(COUNT - 1, 100)] == [COUNT]
    assert [stored.seq for stored in await tail.read(0, 3)] == [1, 2, 3]
    assert await tail.read(COUNT, 100) == []


async def test_the_store_has_caught_up_when_it_has_what_the_leader_has(
    js: JetStream, written: int, tmp_path: Path
) -> None:
    schema.upgrade(tmp_path / "mesh.db")
    database = Database(tmp_path / "mesh.db")
    follower = Follower(database, Tail(js.bus, Behind(js.bus)))
    following = asyncio.create_task(follower.run())
    async with asyncio.timeout(SOON):
        await follower.caught_up()
        assert follower.applied == COUNT
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await database.close()
