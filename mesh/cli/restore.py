"""`mesh restore`: a mesh as a backup has it, in a data folder where there is none.

Everything is checked first, then made beside its place, and moved there at the very end: what
goes wrong before leaves nothing behind. The streams are made by a broker of our own, or by the
one that is named.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from mesh.bus import snapshot
from mesh.bus.api import NO_STREAM, ApiError, StreamInfo
from mesh.bus.jetstream import JetStream
from mesh.bus.topology import declare_model
from mesh.cli import lent
from mesh.cli.archive import Backup
from mesh.cli.backup import Report, interruptible, sentences, told
from mesh.cli.enrol import BrokerFolder
from mesh.cli.local import settings_of
from mesh.cli.locks import Held, folder_lock
from mesh.cli.manifest import DATABASE, SECRETS, Manifest, Stream, snapshot_of
from mesh.cli.moving import Places
from mesh.cli.options import options
from mesh.cli.progress import Bars, bars
from mesh.protocol import subjects
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import OperatorSettings, StoreSettings, read
from mesh.store.copy import inspect, rename_log
from mesh.store.schema import upgrade


@click.command("restore")
@click.argument("source", type=click.Path(path_type=Path), metavar="FOLDER|FILE.tar")
@click.option("--check", is_flag=True, help="Only see whether the backup is whole.")
@click.option("--replace", is_flag=True, help="Put what is there now aside, and take its place.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the manifest.")
@options(OperatorSettings, "data_dir", "nats")
@options(StoreSettings, "database")
def command(
    source: Path, check: bool, replace: bool, as_json: bool, database: str | None, **flags: Any
) -> None:
    """Make a mesh of a backup, in a data folder where there is none and while nothing runs on it.

    With --nats (or MESH_NATS) the streams are made by the brokers there, as in a cluster.
    """
    began = time.time()
    named = lent.named(flags) and not check
    settings = (settings_of if named else _unasked)("operator", OperatorSettings, flags)
    stored = read(StoreSettings, {"data_dir": flags["data_dir"], "database": database})
    places = Places(settings.data_path.absolute(), stored.database_path.absolute())
    with interruptible("Stopped: nothing was restored."), sentences(places.data), bars() as shown:
        backup = Backup(source)
        _refuse_foreign(backup)
        backup.check(shown.begin("checking", backup.manifest.bytes).advance)
        if not check:
            Restoring(backup, places, settings, named, shown).run(replace)
    if as_json:
        seconds = time.time() - began
        report = Report(path=str(source), seconds=seconds, manifest=backup.manifest)
        click.echo(msgspec.json.encode(report))
    elif check:
        click.echo(f"{source} is whole: {_of(backup.manifest)}.")
    else:
        click.echo(f"Restored to {places.data}: {_of(backup.manifest)}.")


def _unasked(_role: str, kind: type[OperatorSettings], flags: dict[str, Any]) -> OperatorSettings:
    """Settings where there need not be a mesh, nor a password, yet."""
    return read(kind, flags)


def _of(manifest: Manifest) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(manifest.at))
    return f"the mesh of {when}, {told(manifest)}"


def _refuse_foreign(backup: Backup) -> None:
    theirs = backup.manifest.protocol
    if theirs != subjects.VERSION:
        raise MeshError(
            ErrorCode.PROTOCOL_VERSION,
            f"The backup {backup.path} is of a mesh that spoke protocol {theirs} (mesh "
            f"{backup.manifest.mesh}), this one speaks protocol {subjects.VERSION}: restore it "
            "with that version.",
        )


@dataclass(frozen=True)
class Restoring:
    """One restoration. named: the broker is the one of the settings, and not one of our own."""

    backup: Backup
    places: Places
    settings: OperatorSettings
    named: bool
    shown: Bars

    def run(self, replace: bool) -> None:
        """Do it, or leave all as it was. Raises MeshError, OSError, BusError."""
        places = self.places
        places.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with folder_lock(places.data):
                lent.refuse_running(BrokerFolder(places.data))
                places.refuse_used(replace)
                with places.staged():
                    self._unpack()
                    self._join(asyncio.run(self._streams()))
                    places.settle(replace)
        except Held:
            raise MeshError(
                ErrorCode.CONFLICT,
                f"A mesh is running on {places.data}: stop it first, or choose another folder "
                "with --data-dir or MESH_DATA_DIR.",
            ) from None

    def _unpack(self) -> None:
        """The files, beside their place; the database with the schema of this version."""
        bar = self.shown.begin("database", self.backup.size(DATABASE))
        self.backup.unpack(DATABASE, self.places.staged_database, bar.advance)
        inspect(self.places.staged_database)
        upgrade(self.places.staged_database)
        for name in SECRETS:
            if self.backup.manifest.has(name):
                self.backup.unpack(name, self.places.staging / name, bar.advance)

    async def _streams(self) -> list[StreamInfo]:
        if self.named:
            return await self._make(self.settings)
        async with lent.own(BrokerFolder(self.places.staging), self.settings) as here:
            return await self._make(here)

    async def _make(self, where: OperatorSettings) -> list[StreamInfo]:
        """The streams, and the consumers of the models that were known."""
        manifest = self.backup.manifest
        async with lent.connected(where) as js:
            await _refuse_present(js, manifest)
            made = [await self._stream(js, stream, where.replicas) for stream in manifest.streams]
            for model in manifest.models:
                await declare_model(js, model, where.ack_wait)
            return made

    async def _stream(self, js: JetStream, stream: Stream, replicas: int) -> StreamInfo:
        piece = snapshot_of(stream.name)
        bar = self.shown.begin(stream.name, self.backup.size(piece))

        def blocks() -> Iterator[bytes]:
            for block in self.backup.read(piece):
                yield block
                bar.advance(len(block))

        made = await snapshot.give(js, stream.name, bytes(stream.config), replicas, blocks())
        if made.state.last_seq < stream.last_seq:
            raise snapshot.Broken(
                f"the broker made of {stream.name} a stream up to {made.state.last_seq} only, of "
                f"{stream.last_seq}"
            )
        return made

    def _join(self, made: list[StreamInfo]) -> None:
        """Let the database know the log by its new identity: it goes on where it was."""
        for stream, info in zip(self.backup.manifest.streams, made, strict=True):
            if stream.name == subjects.RUN_STREAM:
                rename_log(self.places.staged_database, stream.created, info.created)


async def _refuse_present(js: JetStream, manifest: Manifest) -> None:
    for stream in manifest.streams:
        try:
            await js.stream_info(stream.name)
        except ApiError as error:
            if error.code != NO_STREAM:
                raise
        else:
            raise MeshError(
                ErrorCode.CONFLICT,
                f"The broker has a stream {stream.name} already, and streams are never deleted: "
                "stop all gateways, and start the brokers on empty folders of streams.",
            )
