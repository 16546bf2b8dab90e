"""A file that is written whole or not at all: what was there before stays until the new one is."""

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import IO, cast

from mesh.protocol.errors import ErrorCode, MeshError


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Write to a file that only its owner may read, compressed where its name ends in `.gz`.

    It takes its place at the end, and only if nothing was raised meanwhile. What is no regular
    file, as a pipe, is written directly. Raises MeshError (conflict) where it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{token_hex(4)}")
    direct = path.exists() and not path.is_file()
    try:
        with _writing(path if direct else beside, path.suffix == ".gz") as file:
            yield file
        if not direct:
            os.replace(beside, path.resolve())  # a link goes on to lead there
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise MeshError(
            ErrorCode.CONFLICT, f"{path} cannot be written: {error.strerror or error}."
        ) from error
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path, packed: bool) -> Iterator[IO[bytes]]:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        if not packed:
            yield file
            return
        with gzip.GzipFile(filename="", fileobj=file, mode="wb") as smaller:
            yield cast("IO[bytes]", smaller)
