"""A database that is full, locked or busy: nothing is lost, nothing falls over, it is said."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mesh.protocol.chats import ChatTree, CreateChat, GetChat, GetHealth, Health
from mesh.protocol.errors import ErrorCode
from mesh.store import follower
from mesh.store.database import PRAGMAS, is_trouble
from tests.unit.store import story
from tests.unit.store.conftest import Store, running
from tests.unit.store.story import MemoryLog

IMPATIENT = (*PRAGMAS, "PRAGMA busy_timeout = 50")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process that writes and does not come to an end."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


async def until(caplog: pytest.LogCaptureFixture, words: str) -> None:
    """Wait for a line of the log that contains these words."""
    async with asyncio.timeout(60):
        while words not in caplog.text:
            await asyncio.sleep(0.01)


async def everything_applied(store: Store, runs: int) -> bool:
    await store.follower.caught_up()
    rows = await store.rows()
    position = rows["position"][0]
    return len(rows["runs"]) == runs and position["seq"] == position["events"] == 3 * runs


async def test_a_locked_database_delays_events_and_refuses_changes(
    path: Path, log: MemoryLog, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(path, log, pragmas=IMPATIENT) as store:
        user = await store.user()
        with locked(path):
            story.answered(log, "r1")
            await until(caplog, "trying again: OperationalError: database is locked")
            change = CreateChat(user_id=user.id)
            assert await store.refusal(change) == ErrorCode.STORE_UNAVAILABLE
            assert await store.ask(GetHealth(), Health), "reading goes on"
        assert await everything_applied(store, 1)
        assert await store.chat(user)


async def test_a_full_disk_delays_events_and_skips_none(
    path: Path, log: MemoryLog, caplog: pytest.LogCaptureFixture
) -> None:
    full = (*PRAGMAS, "PRAGMA max_page_count = 60")
    async with running(path, log, pragmas=full) as store:
        for number in range(200):
            story.answered(log, f"r{number}", end=story.done("x" * 1000))
        await until(caplog, "database or disk is full")
        async with store.database.read() as session:
            await session.execute(text("PRAGMA max_page_count = 1000000"))
        assert await everything_applied(store, 200)
        assert (await store.rows())["skipped_events"] == []


async def test_a_refusal_by_the_database_shows_no_words_of_people(
    path: Path, log: MemoryLog, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(path, log, pragmas=IMPATIENT) as store:
        user = await store.user()
        turn = story.turn("c1", user.id, story.said("m1", "my secret"))
        with locked(path):
            story.answered(log, "r1", turn, end=story.done("your secret"))
            await until(caplog, "trying again")
        await store.follower.caught_up()
    assert "secret" not in caplog.text


def test_only_what_the_data_itself_is_to_blame_for_may_be_skipped() -> None:
    trouble = (
        OperationalError("INSERT", {}, sqlite3.OperationalError("disk I/O error")),
        PoolTimeout("no connection is free"),
        OSError("input/output error"),
        MemoryError(),
    )
    assert all(is_trouble(error) for error in trouble)
    blame = (IntegrityError("INSERT", {}, sqlite3.IntegrityError()), OverflowError(), ValueError())
    assert not any(is_trouble(error) for error in blame)


async def test_queries_are_answered_while_the_log_is_applied(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "GATHER", 0.0)  # many batches, one after the other
    user = await store.user()
    chat = await store.chat(user)
    store.log.batch = 20
    for number in range(300):
        story.answered(store.log, f"r{number}")
    answers = 0
    while store.follower.applied < store.log.last:
        assert await store.ask(GetChat(user_id=user.id, chat_id=chat.id), ChatTree)
        await store.chat(user)
        answers += 1
    assert answers > 5
    assert len((await store.rows())["runs"]) == 300


async def test_many_queries_at_once_are_all_answered(store: Store) -> None:
    user = await store.user()
    chats = await asyncio.gather(*(store.chat(user) for _ in range(50)))
    reads = (store.ask(GetChat(user_id=user.id, chat_id=chat.id), ChatTree) for chat in chats)
    assert [tree.chat for tree in await asyncio.gather(*reads)] == list(chats)


async def test_a_stop_in_mid_stream_loses_and_doubles_nothing(path: Path, log: MemoryLog) -> None:
    log.batch = 5
    for number in range(100):
        story.answered(log, f"r{number}")
    for stop in range(10):
        async with running(path, log) as store:
            await store.follower.reached(stop * 20)
    async with running(path, log) as store:
        assert await everything_applied(store, 100)


async def test_health_tells_of_position_room_and_skipped_messages(store: Store) -> None:
    store.log.append(b"{", "r0")
    await store.follower.caught_up()
    health = await store.ask(GetHealth(), Health)
    assert (health.applied, health.skipped) == (1, 1)
    assert health.database_bytes > 50_000 and health.free_bytes > 0


async def test_catching_up_with_ten_thousand_events(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3_334):
        story.answered(store.log, f"r{number}")
    begun = asyncio.get_running_loop().time()
    await store.follower.caught_up()
    seconds = asyncio.get_running_loop().time() - begun
    with capsys.disabled():
        print(f"\n  the store caught up at {store.log.last / seconds:,.0f} events/s")
    assert store.follower.applied == store.log.last
