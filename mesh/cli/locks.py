"""Locks that go with their holder, even when it is killed: flock on a folder or a file.

Not shared with `mesh_client.locks`: `mesh worker` starts where the client's libraries are not.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Held(Exception):
    """Another process holds this lock."""


@contextmanager
def folder_lock(path: Path, *, wait: bool = False) -> Iterator[int]:
    """Lock an existing folder itself, so no lock file is left behind. Yields the descriptor.

    A child that inherits the descriptor goes on holding the lock. Raises Held unless `wait`.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _flock(descriptor, path, wait)
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock of this folder at the moment."""
    try:
        with folder_lock(path):
            return False
    except FileNotFoundError:
        return False
    except Held:
        return True


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Lock a file that exists only while it is locked. Raises Held."""
    descriptor = _open_and_lock(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _open_and_lock(path: Path) -> int:
    """The file may be unlinked by its last holder between our open and our lock: look again."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _flock(descriptor, path, wait=False)
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        except Held:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _flock(descriptor: int, path: Path, wait: bool) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise Held(str(path)) from None
