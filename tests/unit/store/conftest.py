"""A store without a broker: a database in a folder of its own, and a log in memory."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import msgspec
import pytest
from sqlalchemy import select

from mesh.protocol.accounts import SignIn, User
from mesh.protocol.chats import Chat, CreateChat
from mesh.protocol.errors import ErrorCode
from mesh.protocol.queries import Query
from mesh.protocol.questions import Refused
from mesh.settings import StoreSettings
from mesh.store import schema
from mesh.store.accounts import Accounts
from mesh.store.database import PRAGMAS, Database
from mesh.store.dispatch import Dispatcher
from mesh.store.follower import Follower
from mesh.store.mirror import News
from mesh.store.models import Base
from tests.unit.store.story import BEGAN, MemoryLog

T = TypeVar("T", bound=msgspec.Struct)
LIMITS = StoreSettings()


class Gateways:
    """Hears what the gateways are told: `heard`, the last message of each subject."""

    def __init__(self) -> None:
        self.heard: dict[str, bytes] = {}
        self._turn = asyncio.Lock()

    def turn(self) -> asyncio.Lock:
        return self._turn

    async def tell(self, news: News) -> None:
        assert self._turn.locked()
        self.heard |= news.messages


class Store:
    """A running store. `now` is its clock."""

    def __init__(self, database: Database, log: MemoryLog, limits: StoreSettings) -> None:
        self.log = log
        self.now = BEGAN
        self.database = database
        self.follower = Follower(self.database, log)
        self.gateways = Gateways()
        accounts = Accounts(database, self.gateways, limits.refresh_leeway, lambda: self.now)
        self.dispatcher = Dispatcher(
            self.database, self.follower, limits, accounts, lambda: self.now
        )

    async def ask(self, query: Query, kind: type[T]) -> T:
        """The reply to a query that is granted."""
        reply = await self.dispatcher.serve(query)
        assert isinstance(reply, kind), reply
        return reply

    async def refusal(self, query: Query) -> ErrorCode:
        """The code of the refusal of a query that is not."""
        reply = await self.dispatcher.serve(query)
        assert isinstance(reply, Refused), reply
        assert reply.detail.endswith("."), "a refusal is a sentence"
        return reply.code

    async def user(self, name: str = "alice") -> User:
        return await self.ask(SignIn(provider="debug", account=name, display_name=name), User)

    async def chat(self, user: User) -> Chat:
        return await self.ask(CreateChat(user_id=user.id), Chat)

    async def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of every table, sorted."""
        return await dump(self.database)


@asynccontextmanager
async def running(
    path: Path,
    log: MemoryLog,
    limits: StoreSettings = LIMITS,
    pragmas: tuple[str, ...] = PRAGMAS,
) -> AsyncIterator[Store]:
    """A store that follows `log` until the block is left."""
    store = Store(Database(path, pragmas), log, limits)
    following = asyncio.create_task(store.follower.run())
    try:
        yield store
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await store.database.close()


async def dump(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, sorted."""
    found: dict[str, list[dict[str, Any]]] = {}
    async with database.read() as session:
        for table in Base.metadata.sorted_tables:
            rows = await session.execute(select(table))
            found[table.name] = sorted((dict(row) for row in rows.mappings()), key=str)
    return found


@pytest.fixture(scope="session")
def empty_database() -> Iterator[Path]:
    """A database file with the tables and nothing in them, to be copied."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        schema.upgrade(path)
        yield path


@pytest.fixture
def path(empty_database: Path, tmp_path: Path) -> Path:
    """An empty database of one's own."""
    return Path(shutil.copy(empty_database, tmp_path / "mesh.db"))


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
async def store(path: Path, log: MemoryLog) -> AsyncIterator[Store]:
    async with running(path, log) as store:
        yield store
