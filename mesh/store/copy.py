"""A copy of the database as it is at one moment, taken while the store goes on writing.

SQLite's own online backup, under one read transaction: without it each write by another process
would begin the copying anew. Calls here block.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from msgspec import Struct

from mesh.protocol.errors import ErrorCode, MeshError

PAGES = 256
"""Pages copied at once: one mebibyte, after which `progress` is told, and Ctrl-C heard."""


class Kept(Struct, frozen=True, kw_only=True):
    """What a database is a copy of. revision: its schema's; log and seq: how far it has the log,
    as its `position` says."""

    revision: str
    log: str
    seq: int


def copy(source: Path, target: Path, progress: Callable[[int, int], None]) -> Kept:
    """Copy a database into a new file that only its owner reads.

    progress: bytes copied and bytes in all. Raises MeshError (not_found, store_unavailable).
    """
    if not source.exists():
        raise MeshError(
            ErrorCode.NOT_FOUND,
            f"There is no database at {source}: run this on the machine of the store, or say "
            "where it is with --database or MESH_DATABASE.",
        )
    target.touch(mode=0o600, exist_ok=False)
    with _opened(source, "ro") as reading, _opened(target, "rw") as writing:
        (size,) = reading.execute("PRAGMA page_size").fetchone()
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM alembic_version").fetchone()

        def told(_status: int, left: int, total: int) -> None:
            progress((total - left) * size, total * size)

        reading.backup(writing, pages=PAGES, progress=told)
        reading.execute("ROLLBACK")
        writing.execute("PRAGMA journal_mode = DELETE")
    return inspect(target)


def inspect(path: Path) -> Kept:
    """What a database file keeps, after a look whether it is sound.

    Raises MeshError (store_unavailable) where it is damaged, or no database of the mesh.
    """
    with _opened(path, "ro") as reading:
        (found,) = reading.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise _unusable(path, found)
        (revision,) = reading.execute("SELECT version_num FROM alembic_version").fetchone()
        log, seq = reading.execute("SELECT log, seq FROM position").fetchone() or ("", 0)
    return Kept(revision=revision, log=log, seq=seq)


def rename_log(path: Path, was: str, now: str) -> None:
    """The log that a database follows has another identity, and the same sequences as before."""
    with _opened(path, "rw") as writing:
        writing.execute("UPDATE position SET log = ? WHERE log = ?", (now, was))


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    try:
        url = f"{path.absolute().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(url, uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA busy_timeout = 5000")
            yield connection
    except sqlite3.Error as error:
        raise _unusable(path, f"{type(error).__name__}: {error}") from error


def _unusable(path: Path, why: str) -> MeshError:
    return MeshError(
        ErrorCode.STORE_UNAVAILABLE,
        f"The database {path} cannot be copied ({why}); check that it is a database of the mesh, "
        "and that its disk has room.",
    )
