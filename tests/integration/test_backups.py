"""`mesh backup` and `mesh restore` as commands: what they keep, refuse, and leave behind."""

import asyncio
import hashlib
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path

import httpx
import msgspec
import pytest

from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.cli.archive import Backup
from mesh.cli.manifest import DATABASE, FORMAT, MANIFEST, STREAMS, snapshot_of
from mesh.cli.moving import STAGING
from mesh.protocol import subjects
from tests.conftest import Broker
from tests.fleet import Fleet, fleet
from tests.proxy import Proxy

CONFIGURATION = 78
INTERRUPTED = 130


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A running mesh with an answer in it."""
    with fleet(tmp_path_factory.mktemp("fleet")) as found:
        found.gateway()
        found.store()
        found.worker("w1")
        asked = httpx.post(f"{found.url}/generate", json={"prompt": "hello"}, timeout=30)
        asked.raise_for_status()
        yield found


@pytest.fixture(scope="module")
def backup(mesh: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole backup of it: copy it to change it."""
    path = tmp_path_factory.mktemp("backups") / "whole"
    done = mesh.run("backup", str(path))
    assert done.returncode == 0, done.stderr
    return path


def restore(mesh: Fleet, source: Path, data: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return mesh.run("restore", str(source), *flags, data_dir=str(data), nats="")


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One sentence on stderr that says these words, and nothing else."""
    assert done.returncode == CONFIGURATION, done.stderr
    assert done.stderr.startswith("mesh: ") and done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_backup_has_database_streams_and_keys_for_its_owner_alone(backup: Path) -> None:
    streams = {snapshot_of(name) for name in STREAMS}
    keys = {"token.key", "broker/secrets.json"}
    assert names(backup) == {MANIFEST, DATABASE} | streams | keys
    assert stat.S_IMODE(backup.stat().st_mode) == 0o700
    for name in names(backup):
        assert stat.S_IMODE((backup / name).stat().st_mode) == 0o600, name


def test_the_manifest_says_what_it_is_a_backup_of(mesh: Fleet, backup: Path) -> None:
    manifest = Backup(backup).manifest
    assert manifest.protocol == subjects.VERSION
    assert manifest.models == ("echo",)
    log = next(stream for stream in manifest.streams if stream.name == subjects.RUN_STREAM)
    assert log.messages >= 4 and manifest.database.seq <= log.last_seq
    assert manifest.database.log == log.created


def test_the_database_is_taken_first_and_the_log_last(backup: Path) -> None:
    """What comes later knows more, and the log is the one that is believed."""
    order = [piece.name for piece in Backup(backup).manifest.pieces]
    assert order[0] == DATABASE
    assert order[-2:] == [snapshot_of(subjects.REQ_STREAM), snapshot_of(subjects.RUN_STREAM)]


async def test_every_stream_is_kept_or_made_anew_by_itself(mesh: Fleet) -> None:
    bus = await Bus.connect([mesh.broker.url], *mesh.broker.credentials("operator"))
    found = await JetStream(bus).api("STREAM.NAMES", {}, _Names)
    await bus.close()
    assert set(found.streams) == {*STREAMS, subjects.WORKERS_STREAM, subjects.ACCOUNTS_STREAM}


class _Names(msgspec.Struct):
    streams: list[str]


def test_a_backup_can_be_one_file(mesh: Fleet, backup: Path, tmp_path: Path) -> None:
    file = tmp_path / "mesh.tar"
    done = mesh.run("backup", str(file), "--json")
    assert msgspec.json.decode(done.stdout)["path"] == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as packed:
        assert set(packed.getnames()) == names(backup)
        assert packed.getnames()[-1] == MANIFEST
    assert restore(mesh, file, tmp_path / "new").returncode == 0


def test_a_backup_takes_nothings_place(mesh: Fleet, backup: Path, tmp_path: Path) -> None:
    before = names(backup)
    refused(mesh.run("backup", str(backup)), "is there already")
    assert names(backup) == before
    (tmp_path / "empty").mkdir()
    assert mesh.run("backup", str(tmp_path / "empty")).returncode == 0


def test_without_a_database_the_sentence_says_where_to_go(mesh: Fleet, tmp_path: Path) -> None:
    done = mesh.run("backup", str(tmp_path / "b"), "--database", str(tmp_path / "none.db"))
    refused(done, "There is no database at", "on the machine of the store")
    assert list(tmp_path.iterdir()) == []


def test_a_restored_mesh_needs_an_empty_place(mesh: Fleet, backup: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    assert restore(mesh, backup, new).returncode == 0
    refused(restore(mesh, backup, new), "There is a mesh in", "--replace")
    (new / "token.key").write_text("another")
    assert restore(mesh, backup, new, "--replace").returncode == 0
    assert (new / "token.key").read_bytes() == (backup / "token.key").read_bytes()
    (aside,) = new.glob("before-restore-*")
    assert {"token.key", "mesh.db", "broker/secrets.json"} <= names(aside)
    assert (aside / "token.key").read_text() == "another"


def test_nothing_is_restored_under_a_running_mesh(mesh: Fleet, backup: Path) -> None:
    before = names(mesh.broker.data_dir)
    refused(restore(mesh, backup, mesh.broker.data_dir, "--replace"), "is running", "stop it first")
    assert {name for name in before if "broker/streams" not in name} <= names(mesh.broker.data_dir)


def test_a_database_elsewhere_is_restored_there(mesh: Fleet, backup: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk" / "chats.db"
    flags = ("--database", str(elsewhere))
    assert restore(mesh, backup, tmp_path / "new", *flags).returncode == 0
    assert not (tmp_path / "new" / "mesh.db").exists()
    assert names(elsewhere.parent) == {"chats.db"}
    shutil.rmtree(tmp_path / "new")
    assert restore(mesh, backup, tmp_path / "new", *flags, "--replace").returncode == 0
    assert len(names(elsewhere.parent)) == 2


# --- damage ---------------------------------------------------------------------------------------


def cut(backup: Path) -> None:
    path = backup / snapshot_of(subjects.RUN_STREAM)
    path.write_bytes(path.read_bytes()[:-7])


def flip(backup: Path) -> None:
    path = backup / DATABASE
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def lose_a_piece(backup: Path) -> None:
    (backup / "token.key").unlink()


def lose_the_manifest(backup: Path) -> None:
    (backup / MANIFEST).unlink()


def cut_the_manifest(backup: Path) -> None:
    path = backup / MANIFEST
    path.write_bytes(path.read_bytes()[:-20])


def forget_the_database(backup: Path) -> None:
    manifest = msgspec.json.decode((backup / MANIFEST).read_bytes())
    manifest["pieces"] = [each for each in manifest["pieces"] if each["name"] != DATABASE]
    (backup / MANIFEST).write_bytes(msgspec.json.encode(manifest))


DAMAGE: dict[Callable[[Path], None], str] = {
    cut: "RUN.snapshot has",
    flip: "mesh.db was changed since",
    lose_a_piece: "token.key cannot be read",
    lose_the_manifest: "it has no manifest",
    cut_the_manifest: "its manifest cannot be read",
    forget_the_database: "its manifest names no mesh.db",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_backup_is_a_sentence_and_changes_nothing(
    mesh: Fleet, backup: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(backup, broken)
    damage(broken)
    refused(restore(mesh, broken, tmp_path / "new"), "is not a whole backup", DAMAGE[damage])
    assert names(tmp_path / "new") == set()


def test_a_file_that_was_cut_off_is_a_sentence(mesh: Fleet, backup: Path, tmp_path: Path) -> None:
    file = tmp_path / "mesh.tar"
    assert mesh.run("backup", str(file)).returncode == 0
    whole = file.read_bytes()
    for length in (0, 700, len(whole) // 2, len(whole) - 11_000):
        file.write_bytes(whole[:length])
        refused(restore(mesh, file, tmp_path / "new"), "is not a whole backup")
    refused(restore(mesh, tmp_path / "nothing", tmp_path / "new"), "There is no backup at")


def test_a_backup_of_another_protocol_or_format_is_refused(
    mesh: Fleet, backup: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(backup, other)
    manifest = msgspec.json.decode((backup / MANIFEST).read_bytes())
    for change, words in (
        ({"protocol": 0}, ("spoke protocol 0", "speaks protocol 1")),
        ({"format": FORMAT + 1, "pieces": "in a new way"}, ("taken by a newer version",)),
    ):
        (other / MANIFEST).write_bytes(msgspec.json.encode(manifest | change))
        refused(restore(mesh, other, tmp_path / "new"), *words)


def test_a_database_of_a_newer_schema_is_not_restored(
    mesh: Fleet, backup: Path, tmp_path: Path
) -> None:
    newer = tmp_path / "newer"
    shutil.copytree(backup, newer)
    with closing(sqlite3.connect(newer / DATABASE)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with (newer / DATABASE).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    manifest = msgspec.json.decode((newer / MANIFEST).read_bytes())
    for piece in manifest["pieces"]:
        if piece["name"] == DATABASE:
            piece["sha256"] = digest
    (newer / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    refused(restore(mesh, newer, tmp_path / "new"), "written by a newer version")
    assert names(tmp_path / "new") == set()


def test_checking_reads_it_all_and_writes_nothing(
    mesh: Fleet, backup: Path, tmp_path: Path
) -> None:
    done = restore(mesh, backup, tmp_path / "new", "--check")
    assert done.returncode == 0 and "is whole" in done.stdout
    assert list(tmp_path.iterdir()) == []


# --- interruptions --------------------------------------------------------------------------------


@asynccontextmanager
async def half_way(
    mesh: Fleet, port: int, words: bytes, *command: str
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A command that hears nothing more of the broker once it has said these words."""
    async with Proxy(port, deaf_at=words) as wire:
        process = mesh.spawn(*command, "--nats", wire.url)
        try:
            await asyncio.wait_for(wire.swallowed.wait(), 30)
            yield process
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def backing_up(mesh: Fleet, target: Path) -> AbstractAsyncContextManager[subprocess.Popen[bytes]]:
    """A backup that has the database, and waits for the rest."""
    return half_way(mesh, mesh.broker.port, b"STREAM.SNAPSHOT.", "backup", str(target))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_backup_leaves_nothing_behind(
    mesh: Fleet, tmp_path: Path, number: signal.Signals
) -> None:
    async with backing_up(mesh, tmp_path / "one") as process:
        assert len(list(tmp_path.rglob("*.db"))) == 1
        process.send_signal(number)
        said, _ = await asyncio.to_thread(process.communicate)
    assert process.returncode == INTERRUPTED
    assert said.decode().strip() == "Stopped: no backup was taken."
    assert os.listdir(tmp_path) == []


async def test_a_killed_backup_is_not_taken_for_one(mesh: Fleet, tmp_path: Path) -> None:
    target = tmp_path / "backups" / "one"
    async with backing_up(mesh, target) as process:
        process.kill()
        await asyncio.to_thread(process.wait)
    (left,) = target.parent.iterdir()
    assert left.name != target.name
    refused(restore(mesh, left, tmp_path / "new", "--check"), "it has no manifest")


async def test_an_interrupted_restore_leaves_nothing_behind(
    mesh: Fleet, backup: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    other = Broker(tmp_path / "broker")
    other.data_dir.mkdir()
    other.start()
    mesh.environment["MESH_OPERATOR_PASSWORD"] = other.credentials("operator").password
    try:
        command = ("restore", str(backup), "--data-dir", str(new))
        async with half_way(mesh, other.port, b"STREAM.RESTORE.", *command) as process:
            assert (new / STAGING).exists()
            process.send_signal(signal.SIGINT)
            said, _ = await asyncio.to_thread(process.communicate)
        assert process.returncode == INTERRUPTED
        assert said.decode().strip() == "Stopped: nothing was restored."
        assert list(new.iterdir()) == []
    finally:
        del mesh.environment["MESH_OPERATOR_PASSWORD"]
        other.kill()


def test_what_was_restored_by_half_is_not_taken_for_a_mesh(
    mesh: Fleet, backup: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    assert restore(mesh, backup, new).returncode == 0
    (new / STAGING).mkdir()  # as a kill -9 leaves it
    for service in ("up", "gateway", "store"):
        refused(mesh.run(service, data_dir=str(new)), "is being restored, or that was cut off")
    assert restore(mesh, backup, new, "--replace").returncode == 0
    assert not (new / STAGING).exists()


# --- brokers --------------------------------------------------------------------------------------


def test_a_mesh_that_does_not_run_is_backed_up_as_well(
    mesh: Fleet, backup: Path, tmp_path: Path
) -> None:
    new, again = tmp_path / "new", tmp_path / "again"
    assert restore(mesh, backup, new).returncode == 0
    done = mesh.run("backup", str(again), data_dir=str(new), nats="")
    assert done.returncode == 0, done.stderr
    first, second = (Backup(path).manifest for path in (backup, again))
    assert [(s.name, s.last_seq) for s in first.streams] == [
        (s.name, s.last_seq) for s in second.streams
    ]
    assert second.models == first.models
    assert not (new / "broker" / "nats.pid").exists()


def test_a_named_broker_makes_the_streams(mesh: Fleet, backup: Path, tmp_path: Path) -> None:
    other = Broker(tmp_path / "broker")
    other.data_dir.mkdir()
    other.start()
    try:
        words = ("restore", str(backup), "--nats", other.url)
        told = {
            "data_dir": str(tmp_path / "new"),
            "operator_password": other.credentials("operator").password,
        }
        done = mesh.run(*words, **told)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "new" / "mesh.db").exists()
        assert not (tmp_path / "new" / "broker" / "streams").exists()
        again = mesh.run(*words, **(told | {"data_dir": str(tmp_path / "newer")}))
        refused(again, "has a stream", "already")
        assert names(tmp_path / "newer") == set()
    finally:
        other.kill()


def test_a_broker_that_is_away_is_a_sentence(mesh: Fleet, tmp_path: Path) -> None:
    done = mesh.run("backup", str(tmp_path / "b"), nats="nats://127.0.0.1:9")
    assert done.returncode == 1
    assert "No broker answers at nats://127.0.0.1:9" in done.stderr
    assert os.listdir(tmp_path) == []
