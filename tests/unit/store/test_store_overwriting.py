"""Deleted words are gone from the database's files, and from the log beside it a moment later."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from mesh.protocol.chats import DeleteChat, Ok
from mesh.store import overwriting
from tests.unit.store import story
from tests.unit.store.conftest import Store

WORD = "quinquennial"


def lingering(path: Path) -> list[str]:
    """The database's files that have the word."""
    return [each.name for each in path.parent.glob(f"{path.name}*") if _has(each)]


def _has(path: Path) -> bool:
    return WORD.encode() in path.read_bytes()


@pytest.mark.parametrize("read_meanwhile", [False, True])
async def test_deleted_words_are_in_no_file(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch, read_meanwhile: bool
) -> None:
    monkeypatch.setattr(overwriting, "PACE", 0.05)
    user = await store.user()
    chat = await store.chat(user)
    story.answered(store.log, "r1", story.turn(chat.id, user.id, story.said("m1", WORD)))
    await store.follower.caught_up()
    overwriting_task = asyncio.create_task(overwriting.run(store.database))
    try:
        async with store.database.read() as session:
            if read_meanwhile:
                await session.connection()
            await store.ask(DeleteChat(user_id=user.id, chat_id=chat.id), Ok)
            assert lingering(path), "in the log beside it"
            if read_meanwhile:
                await asyncio.sleep(0.5)
        async with asyncio.timeout(60):
            while lingering(path):
                await asyncio.sleep(0.05)
        assert await store.chat(user), "it is written to as before"
    finally:
        overwriting_task.cancel()


async def test_a_disk_that_is_full_is_waited_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    async def empty_log() -> bool:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise sqlite3.OperationalError("database or disk is full")
        return True

    monkeypatch.setattr(overwriting, "PACE", 0.01)
    monkeypatch.setattr(store.database, "empty_log", empty_log)
    store.database.deleted.set()
    task = asyncio.create_task(overwriting.run(store.database))
    async with asyncio.timeout(10):
        while tries < 2 and not task.done():
            await asyncio.sleep(0.01)
    assert not task.done()
    task.cancel()
