"""The gateways' copy of keys and revocations, while the database says nothing for a while."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mesh.bus.bucket import entries
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.topology import declare
from mesh.protocol import subjects
from mesh.protocol.accounts import AccountMark, KeyCard
from mesh.protocol.codec import decode
from mesh.settings import Limits
from mesh.store import schema
from mesh.store.database import Database
from mesh.store.mirror import Mirror
from mesh.store.models import ApiKey, User
from tests.conftest import Broker

OWNER = User(
    id="u1",
    provider="debug",
    account="ada",
    display_name="Ada",
    role="user",
    created_at=1.0,
    valid_from=5.0,
)
KEY = ApiKey(
    id="k1",
    user_id="u1",
    key_hash="ab" * 32,
    name="key",
    hint="k",
    scopes="",
    client="",
    created_at=1.0,
)
PLACE = subjects.account_key(KEY.key_hash)


@pytest.fixture
async def js(broker: Broker) -> AsyncIterator[JetStream]:
    """As the store speaks; the buckets are there."""
    buses = [
        await Bus.connect([broker.url], *broker.credentials(who)) for who in ("gateway", "store")
    ]
    await declare(JetStream(buses[0]), Limits())
    yield JetStream(buses[1])
    for bus in buses:
        await bus.close()


@asynccontextmanager
async def mirrored(database: Database, js: JetStream) -> AsyncIterator[Mirror]:
    """While this lasts, the bucket is kept as the database has it."""
    mirror = Mirror(database, js)
    running = asyncio.create_task(mirror.run())
    try:
        yield mirror
        assert not running.done(), "it goes on, whatever the database says"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def told(js: JetStream) -> dict[str, bytes]:
    return await entries(js, subjects.ACCOUNTS_STREAM, subjects.ACCOUNTS_ALL)


async def until_told(js: JetStream, count: int) -> dict[str, bytes]:
    async with asyncio.timeout(20):
        while len(found := await told(js)) < count:
            await asyncio.sleep(0.05)
    return found


async def until_said(caplog: pytest.LogCaptureFixture, times: int) -> None:
    async with asyncio.timeout(20):
        while caplog.text.count("The accounts could not be compared") < times:
            await asyncio.sleep(0.02)


def rename(path: Path, table: str, to: str) -> None:
    """Have the database raise what it has no table for, or have it again."""
    with sqlite3.connect(path) as other:
        other.execute(f"ALTER TABLE {table} RENAME TO {to}")
    other.close()


async def test_the_copy_outlives_a_database_that_fails_and_is_true_again(
    js: JetStream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "mesh.db"
    schema.upgrade(path)
    database = Database(path)
    try:
        async with database.write() as session:
            session.add(OWNER)
            await session.flush()
            session.add(KEY)
        rename(path, "api_keys", "elsewhere")
        async with mirrored(database, js):
            await until_said(caplog, 2)  # and again, soon
            assert await told(js) == {}, "half of the truth is not told"
            rename(path, "elsewhere", "api_keys")
            found = await until_told(js, 2)
        assert decode(found[PLACE], KeyCard).user_id == "u1"
        assert decode(found[subjects.account_mark("u1")], AccountMark).since == 5.0
    finally:
        await database.close()


async def test_what_was_told_before_stays_while_the_database_fails(
    js: JetStream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A key works on, and one that was revoked meanwhile is taken out once the database is back."""
    path = tmp_path / "mesh.db"
    schema.upgrade(path)
    database = Database(path)
    gone = subjects.account_key("cd" * 32)
    try:
        await js.append(gone, b"{}")
        await js.append(PLACE, b"{}")
        rename(path, "users", "elsewhere")
        async with mirrored(database, js):
            await until_said(caplog, 2)
            assert await told(js) == {gone: b"{}", PLACE: b"{}"}
            rename(path, "elsewhere", "users")
            async with asyncio.timeout(20):
                while await told(js) != {gone: b"", PLACE: b""}:
                    await asyncio.sleep(0.05)
    finally:
        await database.close()
