"""Whether other users of this machine can read what a mesh keeps there. Changes nothing."""

import stat
from collections.abc import Iterator
from pathlib import Path

from mesh.cli.enrol import BrokerFolder
from mesh.cli.findings import Finding, fail, ok, warn
from mesh.cli.user import FIRST_ADMIN
from mesh.protocol.errors import ErrorCode, MeshError

CHECK = "data folder"
WORDS = "Other users of this machine can"


def folder(path: Path, database: Path, remote: bool) -> Iterator[Finding]:
    """Whether the data folder is there and nobody else can read what is in it.

    database: where the store keeps it, in the folder or elsewhere; remote: whether the folder need
    not be here, because the operator's password came from elsewhere.
    """
    try:
        BrokerFolder(path).secrets()
    except MeshError as error:
        away = remote and error.code == ErrorCode.NOT_FOUND
        yield ok(CHECK, "It is on another machine.") if away else fail(CHECK, error.detail)
        return
    path, database = path.resolve(), database.resolve()
    yield _inside(path, database)
    if not database.is_relative_to(path):
        yield from _elsewhere(database)


def _inside(path: Path, database: Path) -> Finding:
    if not _open_to_others(path):
        return ok(CHECK, f"{path} is private.")
    advice = f"type: chmod -R go= '{path}'"
    secret = [name for name in _secrets(path, database) if _readable(name, path)]
    if not secret:
        return warn(CHECK, f"{WORDS} look into {path}: {advice}")
    names = ", ".join(str(name.relative_to(path)) for name in secret)
    return fail(CHECK, f"{WORDS} read {names}: {advice}")


def _elsewhere(database: Path) -> Iterator[Finding]:
    """A database that is not in the data folder, whose own folder may be everybody's."""
    files = [name for name in _database(database) if _readable(name, database.parent)]
    if files:
        names = " ".join(f"'{name}'" for name in files)
        yield fail(CHECK, f"{WORDS} read the database: type: chmod go= {names}")


def _secrets(path: Path, database: Path) -> list[Path]:
    """What holds passwords, keys and people's words in a data folder, if it is there."""
    kept = BrokerFolder(path)
    return [
        *kept.path.glob("*.json"),
        kept.config,
        *kept.tls.key.parent.glob("*key.pem"),
        kept.streams,
        path / "token.key",
        path / FIRST_ADMIN,
        *(_database(database) if database.is_relative_to(path) else ()),
    ]


def _database(path: Path) -> list[Path]:
    """The database's file, and what SQLite has beside it while it is open."""
    return [path.with_name(f"{path.name}{more}") for more in ("", "-wal", "-shm")]


def _readable(name: Path, top: Path) -> bool:
    """Whether others can read it: it and all folders from `top` down to it let them."""
    above = (each for each in name.parents if each.is_relative_to(top))
    return all(_open_to_others(each) for each in (name, *above))


def _open_to_others(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:  # it is not there, or not any more
        return False
    return bool(mode & (stat.S_IRWXG | stat.S_IRWXO))
