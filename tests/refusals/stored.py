"""What a store keeps, as its database file has it: to see that nothing of it has changed."""

import sqlite3
from contextlib import closing
from pathlib import Path

Kept = dict[str, list[tuple[object, ...]]]
"""The rows of each table."""

BY_ITSELF = ("last_used_at",)
"""Columns that are noted now and then: whoever is refused has used their key."""


def everything(path: Path) -> Kept:
    """All rows of all tables; `position` among them, so that the log has not grown either."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name: _rows(database, name) for (name,) in tables.fetchall()}


def _rows(database: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info('{table}')")]
    wanted = ", ".join(f'"{name}"' for name in columns if name not in BY_ITSELF)
    return database.execute(f"SELECT {wanted} FROM '{table}'").fetchall()
