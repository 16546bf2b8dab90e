"""The database connection: an engine, reading and writing sessions. Knows no tables.

This file and the migrations hold all that is particular to SQLite. Within one process writes
wait for one another here; between processes SQLite's own lock does that.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

BUSY_TIMEOUT_MS = 5_000
"""How long to wait for another process that writes."""

SOON_MS = 200
"""How long to wait for whoever reads, where it can be tried again later."""

PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
)
"""WAL: readers and the writer do not wait for each other. FULL: what was answered outlives a
power cut. secure_delete: deleted words do not linger in free pages."""

READ_ONLY = (f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}", "PRAGMA query_only = ON")


class Database:
    """One database file, its schema up to date. Make it inside the event loop, close it there.

    deleted: set when rows were; whoever sees to them (`overwriting.py`) clears it.
    """

    def __init__(self, path: Path, pragmas: tuple[str, ...] = PRAGMAS) -> None:
        self.path = path
        self._engine = create_async_engine(f"sqlite+aiosqlite:///{path}", hide_parameters=True)
        prepare(self._engine.sync_engine, pragmas)
        self._writer = self._engine.execution_options(immediate=True)
        self._writing = asyncio.Lock()
        self.deleted = asyncio.Event()
        _notice_deletions(self._engine.sync_engine, self.deleted)
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session that sees one moment of the database, whatever is written meanwhile."""
        async with self._session(self._engine) as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """The one session that may write now; all of it is kept on leaving, or nothing."""
        async with self._writing, self._session(self._writer) as session:
            async with session.begin():
                yield session

    async def used(self) -> int:
        """Bytes in use; the file may be larger, with room that is used again."""
        async with self.read() as session:
            pages, free, size = [
                int(await session.scalar(text(f"PRAGMA {name}")) or 0)
                for name in ("page_count", "freelist_count", "page_size")
            ]
        return (pages - free) * size

    async def empty_log(self) -> bool:
        """Move all of the write-ahead log into the file, and leave nothing of it behind.

        False, and nothing is lost, while somebody still reads or writes.
        """
        async with self._writing, self._engine.connect() as connection:
            raw = (await connection.get_raw_connection()).driver_connection
            assert raw is not None
            await raw.execute(f"PRAGMA busy_timeout = {SOON_MS}")  # others wait for us meanwhile
            try:
                ((busy, _, _),) = await raw.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                await raw.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        return not busy

    async def close(self) -> None:
        """Wait for the open sessions to end, then let go of the file."""
        await self._idle.wait()
        await self._engine.dispose()

    @asynccontextmanager
    async def _session(self, engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
        self._open += 1
        self._idle.clear()
        try:
            async with AsyncSession(engine, expire_on_commit=False) as session:
                yield session
        finally:
            self._open -= 1
            if self._open == 0:
                self._idle.set()


def _notice_deletions(engine: Engine, deleted: asyncio.Event) -> None:
    @event.listens_for(engine, "before_cursor_execute")
    def notice(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("DELETE"):
            deleted.set()


def prepare(engine: Engine, pragmas: tuple[str, ...]) -> None:
    """Let an engine begin its transactions itself: the driver would begin too late to read.

    With the execution option `immediate` a transaction takes the write lock at its start, so it
    never fails half-way because another one wrote.
    """

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()
        connection.create_function("lower", 1, _lower, deterministic=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _lower(text: str | None) -> str | None:
    """For `lower()` in statements: SQLite's own knows no letters but those of ASCII."""
    return None if text is None else text.lower()


def count_rows(path: Path, tables: Iterable[str]) -> dict[str, int]:
    """The rows of each table, for threads without an event loop; none while nothing can be read."""
    counts: dict[str, int] = {}
    url = f"{path.absolute().as_uri()}?mode=ro"
    with suppress(sqlite3.Error), closing(sqlite3.connect(url, uri=True)) as connection:
        for table in tables:
            found = connection.execute(f'SELECT count(*) FROM "{table}"')
            counts[table] = int(found.fetchone()[0])
    return counts


def is_trouble(error: Exception) -> bool:
    """Whether the database cannot work now (full, locked, busy), whatever one asks of it.

    Other errors are the fault of what was to be written, and would come again.
    """
    if isinstance(error, DataError | IntegrityError | ProgrammingError):
        return False
    return isinstance(error, DBAPIError | PoolTimeout | OSError | MemoryError)


def sentence(error: Exception) -> str:
    """The database's own words for what is wrong, without statement and values."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return f"{type(cause).__name__}: {cause}"
