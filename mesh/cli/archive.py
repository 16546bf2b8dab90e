"""A backup as it lies on a disk: some pieces and a manifest, in a folder or in one tar file.

The manifest is written last, and the whole gets its name at the very end, so that what was
interrupted has neither. It names each piece with its size and its SHA-256.
"""

import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec
from msgspec import Struct

from mesh.cli.manifest import (
    DATABASE,
    FORMAT,
    MANIFEST,
    SECRETS,
    STREAMS,
    Manifest,
    Piece,
    snapshot_of,
)
from mesh.protocol.errors import ErrorCode, MeshError

BLOCK = 256 << 10
"""Bytes read at once."""

Tell = Callable[[int], None]
"""Hears how many bytes more have been dealt with."""


class Writer:
    """A backup in the making, in a folder beside its place. Use as a context manager: what is not
    finished is gone afterwards. A name that ends in `.tar` becomes one file."""

    def __init__(self, target: Path) -> None:
        self._target = target.absolute()
        self._tar = target.suffix == ".tar"
        self._pieces: list[Piece] = []

    def __enter__(self) -> Self:
        refuse_taken(self._target)
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            made = tempfile.mkdtemp(prefix=f".{self._target.name}.", dir=self._target.parent)
        except OSError as error:
            raise cannot_write(self._target, error) from error
        self._folder = Path(made)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def place(self, name: str) -> Path:
        """Where to write a piece that is sealed afterwards."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    def seal(self, name: str) -> None:
        """A piece is whole."""
        with self.place(name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = os.fstat(file.fileno()).st_size
            os.fsync(file.fileno())
        self._pieces.append(Piece(name=name, bytes=size, sha256=digest))
        self._pack(name)

    def finish(self, manifest: Manifest) -> Manifest:
        """Everything is sealed: write the manifest with the pieces, and give the whole its name."""
        whole = msgspec.structs.replace(manifest, pieces=tuple(self._pieces))
        text = msgspec.json.format(msgspec.json.encode(whole)) + b"\n"
        path = self.place(MANIFEST)
        path.touch(mode=0o600)
        path.write_bytes(text)
        self._pack(MANIFEST)
        refuse_taken(self._target)
        _sync(self._folder)
        if self._tar:
            self._archive.replace(self._target)
        else:
            self._folder.replace(self._target)
        _sync(self._target.parent)
        return whole

    @property
    def _archive(self) -> Path:
        return self._folder / "backup.tar"

    def _pack(self, name: str) -> None:
        """Move a finished file into the archive, if it is to be one."""
        if not self._tar:
            return
        with tarfile.open(self._archive, "a", format=tarfile.PAX_FORMAT) as archive:
            archive.add(self._folder / name, name)
        (self._folder / name).unlink()
        self._archive.chmod(0o600)
        _sync(self._archive)


class Backup:
    """A backup to read. Raises MeshError (bad_request) at once if it is not a whole one, and
    (unsupported) if this version does not know its format."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with self._file(MANIFEST) as file:
                text = file.read()
        except (OSError, KeyError, tarfile.TarError) as error:
            raise self._not_whole("it has no manifest") from error
        try:
            if msgspec.json.decode(text, type=_Format).format > FORMAT:
                raise _newer(path)
            self.manifest = msgspec.json.decode(text, type=Manifest)
        except msgspec.DecodeError as error:
            raise self._not_whole(f"its manifest cannot be read: {error}") from error
        if {piece.name for piece in self.manifest.pieces} - _known():
            raise _newer(path)

    def size(self, name: str) -> int:
        """Bytes of a piece. Raises MeshError (bad_request) where there is no such piece."""
        return self._piece(name).bytes

    def check(self, tell: Tell) -> None:
        """Read every piece. Raises MeshError (bad_request), naming the one that is damaged."""
        for piece in self.manifest.pieces:
            for block in self.read(piece.name):
                tell(len(block))

    def read(self, name: str) -> Iterator[bytes]:
        """A piece, block by block. Raises MeshError (bad_request) at its end if it is damaged."""
        piece = self._piece(name)
        digest, size = hashlib.sha256(), 0
        try:
            with self._file(name) as file:
                while block := file.read(BLOCK):
                    digest.update(block)
                    size += len(block)
                    yield block
        except (OSError, KeyError, tarfile.TarError) as error:
            raise self._not_whole(f"{name} cannot be read: {error}") from error
        if size != piece.bytes:
            raise self._not_whole(f"{name} has {size} bytes, of {piece.bytes}")
        if digest.hexdigest() != piece.sha256:
            raise self._not_whole(f"{name} was changed since: its SHA-256 is another")

    def unpack(self, name: str, target: Path, tell: Tell) -> None:
        """Write a piece to a new file that only its owner reads."""
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.touch(mode=0o600, exist_ok=False)
        with target.open("wb") as file:
            for block in self.read(name):
                file.write(block)
                tell(len(block))
            file.flush()
            os.fsync(file.fileno())

    def _piece(self, name: str) -> Piece:
        for piece in self.manifest.pieces:
            if piece.name == name:
                return piece
        raise self._not_whole(f"its manifest names no {name}")

    @contextmanager
    def _file(self, name: str) -> Iterator[IO[bytes]]:
        if self.path.is_dir():
            with (self.path / name).open("rb") as file:
                yield file
            return
        with tarfile.open(self.path, "r:") as archive:
            found = archive.extractfile(name)
            if found is None:
                raise KeyError(name)
            with closing(found) as member:
                yield member

    def _not_whole(self, why: str) -> MeshError:
        if not self.path.exists():
            return MeshError(ErrorCode.NOT_FOUND, f"There is no backup at {self.path}.")
        return MeshError(
            ErrorCode.BAD_REQUEST,
            f"{self.path} is not a whole backup: {why}. Nothing was restored; take another one.",
        )


class _Format(Struct):
    format: int


def refuse_taken(target: Path) -> None:
    """Raise MeshError (conflict) if there is something in the place of a new backup."""
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.exists():
        raise MeshError(
            ErrorCode.CONFLICT, f"{target} is there already: choose a new name for the backup."
        )


def cannot_write(path: Path, error: OSError) -> MeshError:
    return MeshError(ErrorCode.CONFLICT, f"{path} cannot be written: {error.strerror or error}.")


def _known() -> set[str]:
    return {DATABASE, *SECRETS, *map(snapshot_of, STREAMS)}


def _newer(path: Path) -> MeshError:
    return MeshError(
        ErrorCode.UNSUPPORTED,
        f"The backup {path} was taken by a newer version of the mesh: restore it with that one.",
    )


def _sync(path: Path) -> None:
    """What was done to a file or a folder outlives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
