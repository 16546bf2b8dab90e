"""Brings a database file to the schema of this version, by alembic. Calls here block.

The steps are in `mesh/store/migrations/`. One transaction holds all of them, so that a crash
leaves the old schema or the new one; SQLite's write lock makes a second starter wait.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.store.database import READ_ONLY, prepare, sentence

PRAGMAS = ("PRAGMA busy_timeout = 60000", "PRAGMA journal_mode = WAL")
"""Foreign keys stay off meanwhile: altering a table on SQLite means to copy and drop it."""


def upgrade(path: Path, revision: str = "head") -> None:
    """Create the database file where there is none, or bring it up to this version's schema.

    Raises MeshError: unsupported if a newer version of the mesh wrote it, store_unavailable.
    """
    _create(path)
    with _transaction(path) as connection:
        _refuse_newer(path, connection)
        command.upgrade(_config(connection), revision)


def downgrade(path: Path, revision: str) -> None:
    """Take the database back to an older schema; `base` drops every table."""
    with _transaction(path) as connection:
        command.downgrade(_config(connection), revision)


def newest() -> str:
    """The schema of this version."""
    head = _scripts().get_current_head()
    assert head is not None
    return head


def change(path: Path, revision: str) -> None:
    """Take the database to one of the schemas that this version knows, older or newer.

    What an older one has no place for is gone. Raises MeshError: bad_request for a revision that
    is none, not_found, unsupported if a newer version wrote the database, store_unavailable.
    """
    newest_first = [script.revision for script in _scripts().walk_revisions()]
    if revision not in newest_first:
        known = ", ".join(reversed(newest_first))
        raise MeshError(
            ErrorCode.BAD_REQUEST,
            f"This version of the mesh knows no schema {revision!r}, only {known}.",
        )
    if not path.exists():
        raise MeshError(ErrorCode.NOT_FOUND, f"There is no database at {path}.")
    with _transaction(path) as connection:
        _refuse_newer(path, connection)
        now = _revision(connection)
        older = now in newest_first and newest_first.index(revision) > newest_first.index(now)
        (command.downgrade if older else command.upgrade)(_config(connection), revision)


def check(path: Path) -> None:
    """Raise MeshError (unsupported) unless the file has exactly this version's schema."""
    with _transaction(path, READ_ONLY) as connection:
        _refuse_newer(path, connection)
        if _revision(connection) != newest():
            raise MeshError(
                ErrorCode.UNSUPPORTED,
                f"The database {path} was written by an older version of the mesh; "
                "start `mesh store` once, which brings it up to date.",
            )


def _create(path: Path) -> None:
    """An empty file that only its owner reads, unless there is one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise MeshError(
            ErrorCode.STORE_UNAVAILABLE, f"The database {path} cannot be created: {error}."
        ) from error


def _refuse_newer(path: Path, connection: Connection) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    found = _revision(connection)
    if found not in known | {None}:
        raise MeshError(
            ErrorCode.UNSUPPORTED,
            f"The database {path} was written by a newer version of the mesh (schema {found}, "
            f"this one knows up to {newest()}): upgrade this one, or take the database back with "
            f"that version's `mesh store --schema {newest()}`, or name another file with "
            "MESH_DATABASE.",
        )


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "mesh.store:migrations")
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _transaction(path: Path, pragmas: tuple[str, ...] = PRAGMAS) -> Iterator[Connection]:
    """One transaction; one that may write takes the write lock at once.

    Raises MeshError where the file cannot be opened as a database.
    """
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    prepare(engine, pragmas)
    try:
        with engine.execution_options(immediate=pragmas is PRAGMAS).begin() as connection:
            yield connection
    except DBAPIError as error:
        raise MeshError(
            ErrorCode.STORE_UNAVAILABLE,
            f"The database {path} cannot be used ({sentence(error)}); check that its folder can "
            "be written, that its disk has room and that it is a database of the mesh.",
        ) from error
