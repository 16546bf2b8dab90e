"""Following the log by one's own position: restarts, repetitions, other logs, trouble."""

import asyncio
from pathlib import Path

import pytest

from mesh.bus.connection import Silence
from mesh.bus.stored import Stored
from mesh.bus.tail import Head
from mesh.protocol.chats import GetRun, RunRow
from mesh.protocol.errors import ErrorCode
from mesh.store import commit
from mesh.store.commit import At, Moved
from mesh.store.database import Database
from mesh.store.follower import OutOfOrder, in_order
from tests.unit.store import story
from tests.unit.store.conftest import Store, dump, running
from tests.unit.store.story import MemoryLog


async def position(database: Database) -> tuple[str, int, int]:
    (row,) = (await dump(database))["position"]
    return row["log"], row["seq"], row["events"]


async def test_a_restarted_store_goes_on_where_its_database_is(path: Path, log: MemoryLog) -> None:
    async with running(path, log) as store:
        story.answered(log, "r1")
        await store.follower.caught_up()
    story.answered(log, "r2")
    async with running(path, log) as store:
        await store.follower.caught_up()
        assert await position(store.database) == ("first", 6, 6)
        assert [row["rid"] for row in (await store.rows())["runs"]] == ["r1", "r2"]


async def test_tokens_between_events_do_not_hold_the_store_up(store: Store) -> None:
    store.log.tokens(100)
    story.answered(store.log, "r1")
    store.log.tokens(100)
    await store.follower.caught_up()
    assert await position(store.database) == ("first", 103, 3)


class BusyLog(MemoryLog):
    """Has another answer, and tokens of the next, whenever somebody looks."""

    async def read(self, after: int, limit: int) -> list[Stored]:
        story.answered(self, f"busy{self.last}")
        return await super().read(after, limit)

    async def head(self) -> Head:
        self.tokens(3)
        return await super().head()


async def test_a_log_that_never_rests_is_caught_up_with(path: Path) -> None:
    async with running(path, BusyLog()) as store:
        async with asyncio.timeout(5):
            await store.follower.caught_up()
        applied, (_, seq, _) = store.follower.applied, await position(store.database)
        assert 0 < applied <= seq


class RepeatingLog(MemoryLog):
    """Redelivers the messages before those asked for, and some of them twice."""

    async def read(self, after: int, limit: int) -> list[Stored]:
        fresh = await super().read(after, limit)
        repeated = [stored for stored in self.messages if after - 3 < stored.seq <= after]
        return repeated + [stored for stored in fresh for _ in range(2)]


async def test_what_is_delivered_again_is_applied_once(path: Path) -> None:
    log = RepeatingLog()
    log.batch = 2
    async with running(path, log) as store:
        for number in range(10):
            story.answered(log, f"r{number}")
        await store.follower.caught_up()
        assert await position(store.database) == ("first", 30, 30)


def test_a_batch_in_the_wrong_order_is_refused() -> None:
    first, second, third = (Stored(seq, "s", b"") for seq in (4, 5, 6))
    assert in_order([first, second, second, third], 4) == [second, third]
    with pytest.raises(OutOfOrder):
        in_order([second, first], 3)


class ShuffledLog(MemoryLog):
    """Delivers its first batch backwards, and then in order."""

    shuffled = 0

    async def read(self, after: int, limit: int) -> list[Stored]:
        found = await super().read(after, limit)
        if len(found) > 1 and not self.shuffled:
            self.shuffled += 1
            return found[::-1]
        return found


async def test_a_refused_batch_is_read_again(path: Path) -> None:
    log = ShuffledLog()
    story.answered(log, "r1")
    async with running(path, log) as store:
        await store.follower.caught_up()
        assert log.shuffled == 1
        assert await position(store.database) == ("first", 3, 3)
        assert (await store.ask(GetRun(rid="r1"), RunRow)).state == "done"


async def test_a_stream_made_anew_is_read_from_its_beginning(store: Store) -> None:
    log = store.log
    story.answered(log, "r1")
    story.answered(log, "r2")
    await store.follower.caught_up()
    log.created, log.messages, log.last = "second", [], 0
    story.answered(log, "r3")
    await store.follower.caught_up()
    assert [row["rid"] for row in (await store.rows())["runs"]] == ["r1", "r2", "r3"]
    assert (await position(store.database))[:2] == ("second", 3)


async def test_a_new_stream_that_is_longer_already_is_read_from_its_beginning_too(
    path: Path, log: MemoryLog
) -> None:
    async with running(path, log) as store:
        story.answered(log, "r1")
        await store.follower.caught_up()
    log.created, log.messages, log.last = "second", [], 0
    story.answered(log, "r2")
    story.answered(log, "r3")
    async with running(path, log) as store:
        await store.follower.caught_up()
        assert [row["rid"] for row in (await store.rows())["runs"]] == ["r1", "r2", "r3"]


async def test_a_stream_restored_without_its_tail_is_read_again(store: Store) -> None:
    log = store.log
    story.answered(log, "r1")
    story.answered(log, "r2")
    await store.follower.caught_up()
    before = await store.rows()
    del log.messages[3:]
    log.last = 3
    story.answered(log, "r3")
    log.tokens(2)
    del log.messages[5:]
    log.last = 5
    await store.follower.caught_up()
    after = await store.rows()
    assert [row["rid"] for row in after["runs"]] == ["r1", "r2", "r3"]
    assert after["runs"][:2] == before["runs"], "what had happened stays"


async def test_a_log_whose_old_events_have_expired_is_not_a_new_one(store: Store) -> None:
    story.answered(store.log, "r1")
    await store.follower.caught_up()
    store.log.messages.clear()
    story.answered(store.log, "r2")
    await store.follower.caught_up()
    assert await position(store.database) == ("first", 6, 6)


async def test_of_two_stores_on_one_database_each_event_is_applied_by_one(
    path: Path, log: MemoryLog
) -> None:
    log.batch = 1
    async with running(path, log) as one, running(path, log) as other:
        for number in range(20):
            story.answered(log, f"r{number}")
        await asyncio.gather(one.follower.caught_up(), other.follower.caught_up())
        assert await position(one.database) == ("first", 60, 60)


async def test_a_position_that_is_not_the_databases_is_refused(store: Store) -> None:
    story.answered(store.log, "r1")
    await store.follower.caught_up()
    with pytest.raises(Moved):
        await commit.commit(store.database, At("first", 2), [store.log.messages[2]])


class UnreachableLog(MemoryLog):
    """Cannot be read a few times."""

    failures = 2

    async def read(self, after: int, limit: int) -> list[Stored]:
        if self.failures:
            self.failures -= 1
            raise Silence("reading RUN was not answered")
        return await super().read(after, limit)


async def test_a_log_that_cannot_be_read_is_tried_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = UnreachableLog()
    story.answered(log, "r1")
    async with running(path, log) as store:
        await store.follower.reached(3)
    assert "trying again" in caplog.text


async def test_a_query_waits_for_the_log_and_gives_up_in_a_sentence(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.answered(store.log, "r1")
    assert await store.ask(GetRun(rid="r1", min_seq=3), RunRow)
    monkeypatch.setattr("mesh.store.dispatch.WAIT", 0.05)
    code = await store.refusal(GetRun(rid="r1", min_seq=4))
    assert code == ErrorCode.STORE_UNAVAILABLE


async def test_nothing_is_said_to_be_missing_before_the_log_was_looked_at(store: Store) -> None:
    await store.follower.caught_up()
    story.answered(store.log, "r1")
    assert (await store.ask(GetRun(rid="r1"), RunRow)).state == "done"
