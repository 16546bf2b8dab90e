"""`mesh backup`: database, streams and keys of a mesh, running or not, into a folder or a file.

First the database, then the queue, then the log: what comes later knows more, and it is the log
that is believed. So whatever happens meanwhile, the store finds the rest of it in the log, and a
prompt that was answered is found to be.
"""

import asyncio
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
from msgspec import Struct

import mesh
from mesh.bus import snapshot
from mesh.bus.api import NO_STREAM, ApiError
from mesh.bus.connection import BusError
from mesh.bus.jetstream import JetStream
from mesh.cli import lent
from mesh.cli.archive import Writer, cannot_write
from mesh.cli.local import settings_of
from mesh.cli.manifest import DATABASE, SECRETS, STREAMS, Manifest, Stream, snapshot_of
from mesh.cli.options import options
from mesh.cli.progress import Bars, bars
from mesh.cli.screen import duration, size
from mesh.protocol import subjects
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import OperatorSettings, StoreSettings, read
from mesh.store.copy import copy

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


class Report(Struct, frozen=True, kw_only=True):
    """What was done. path: where the backup lies; seconds: how long it took."""

    path: str
    seconds: float
    manifest: Manifest


class _Taken(NamedTuple):
    """What the broker gave. models: those that are known."""

    broker: str
    streams: tuple[Stream, ...]
    models: tuple[str, ...]


@click.command("backup")
@click.argument("target", type=click.Path(path_type=Path), metavar="FOLDER|FILE.tar")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the manifest.")
@options(OperatorSettings, "data_dir", "nats")
@options(StoreSettings, "database")
def command(target: Path, as_json: bool, database: str | None, **flags: Any) -> None:
    """Take a backup of chats, log and queue, while the mesh runs or while it does not.

    It holds people's words and the mesh's keys: keep it as you keep those.
    """
    began = time.time()
    settings = settings_of("operator", OperatorSettings, flags)
    stored = read(StoreSettings, {"data_dir": flags["data_dir"], "database": database})
    with interruptible("Stopped: no backup was taken."), sentences(target), bars() as shown:
        manifest = _take(settings, lent.named(flags), stored.database_path, target, shown)
    seconds = time.time() - began
    if as_json:
        report = Report(path=str(target), seconds=seconds, manifest=manifest)
        click.echo(msgspec.json.encode(report))
    else:
        what = f"{size(manifest.bytes)} in {duration(seconds)}"
        click.echo(f"Backed up to {target}: {what}, {told(manifest)}.")


def told(manifest: Manifest) -> str:
    """What a backup has, in a few words."""
    log = [stream for stream in manifest.streams if stream.name == subjects.RUN_STREAM]
    upto = f"the log up to {log[0].last_seq}" if log else "no log"
    keys = "with its keys" if any(map(manifest.has, SECRETS)) else "without keys"
    return f"{upto}, the database up to {manifest.database.seq}, {keys}"


@contextmanager
def interruptible(otherwise: str) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block, which clears up; then this is said, and we leave."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\n{otherwise}", err=True)
        sys.exit(INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def sentences(path: Path) -> Iterator[None]:
    """What disk and broker fail with becomes a MeshError. path: where we write."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error
    except BusError as error:
        raise MeshError(
            ErrorCode.BROKER_UNAVAILABLE,
            f"The broker did not see it through: {error}. If it was started by an older version "
            "of the mesh, start it again.",
        ) from error


def _take(
    settings: OperatorSettings, named: bool, database: Path, target: Path, shown: Bars
) -> Manifest:
    at = time.time()
    with Writer(target) as writer:
        bar = shown.begin("database")
        kept = copy(database, writer.place(DATABASE), bar.reach)
        writer.seal(DATABASE)
        for name in SECRETS:
            _copy_secret(settings.data_path / name, writer, name)
        taken = asyncio.run(_streams(settings, named, writer, shown))
        manifest = Manifest(
            mesh=mesh.__version__,
            protocol=subjects.VERSION,
            broker=taken.broker,
            at=at,
            database=kept,
            streams=taken.streams,
            models=taken.models,
            pieces=(),
        )
        return writer.finish(manifest)


def _copy_secret(source: Path, writer: Writer, name: str) -> None:
    if source.exists():
        place = writer.place(name)
        place.touch(mode=0o600)
        shutil.copyfile(source, place)
        writer.seal(name)


async def _streams(settings: OperatorSettings, named: bool, writer: Writer, shown: Bars) -> _Taken:
    """Take all streams there are, from the broker that runs, or from one that is lent."""
    async with lent.of(settings, named) as js:
        streams = [await _stream(js, name, writer, shown) for name in STREAMS]
        found = tuple(stream for stream in streams if stream is not None)
        queue = any(stream.name == subjects.REQ_STREAM for stream in found)
        names = await js.consumer_names(subjects.REQ_STREAM) if queue else []
        models = tuple(sorted(set(map(subjects.model_of, names))))
        return _Taken(js.bus.server_version, found, models)


async def _stream(js: JetStream, name: str, writer: Writer, shown: Bars) -> Stream | None:
    """Take one stream; None where there is none, since no gateway has ever run."""
    try:
        info = await js.stream_info(name)
    except ApiError as error:
        if error.code != NO_STREAM:
            raise
        return None
    bar = shown.begin(name)
    piece = snapshot_of(name)
    place = writer.place(piece)
    place.touch(mode=0o600)
    with place.open("wb") as file:

        def write(chunk: bytes) -> None:
            file.write(chunk)
            bar.advance(len(chunk))

        taken = await snapshot.take(js, name, write)
    bar.finish()
    writer.seal(piece)
    return Stream(
        name=name,
        created=info.created,
        messages=taken.state.messages,
        first_seq=taken.state.first_seq,
        last_seq=taken.state.last_seq,
        config=taken.config,
    )
