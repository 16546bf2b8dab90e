"""Locks between processes: each is a file that is there while it is held, and lets go with its
holder, also where that is killed.

Where there are none (no `fcntl`, a folder that cannot be written) everybody goes on without.
Not shared with `mesh.cli.locks`, which a worker needs where this package's libraries are not.
"""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on macOS or Linux
    fcntl = None  # type: ignore[assignment]

PAUSE = 0.02
"""Seconds between two tries."""

_guard = threading.Lock()
_here: set[Path] = set()
"""Those that this process holds: its own flights wait for one another by `turns`."""


class Lock:
    """A lock by its file. `take` and `let_go` never wait."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Whether one may go on: it is held by this process now, or there are no locks here."""
        with _guard:
            if self._path in _here:
                return True
            try:
                self._descriptor = _locked(self._path)
            except BlockingIOError:
                return False
            except OSError:
                return True
            if self._descriptor is not None:
                _here.add(self._path)
            return True

    def let_go(self) -> None:
        """Give it back, if it was this one that took it."""
        with _guard:
            if self._descriptor is not None:
                self._path.unlink(missing_ok=True)
                os.close(self._descriptor)
                self._descriptor = None
                _here.discard(self._path)


class Moment:
    """What one waits for between two tries: nothing but time, until then (`time.monotonic`)."""

    def block(self, until: float) -> None:
        time.sleep(max(0.0, until - time.monotonic()))

    async def awaited(self, until: float) -> None:
        await asyncio.sleep(max(0.0, until - time.monotonic()))


@contextmanager
def locked(path: Path, patience: float) -> Iterator[None]:
    """Hold a lock, waiting for others at most so many seconds, and going on without it then."""
    lock, until = Lock(path), time.monotonic() + patience
    while not lock.take() and time.monotonic() < until:
        time.sleep(PAUSE)
    try:
        yield
    finally:
        lock.let_go()


def _locked(path: Path) -> int | None:
    """The descriptor of the lock's file; None where there are no locks.

    Its last holder may unlink it between our open and our lock: then there is another one to look
    at. Raises BlockingIOError: somebody holds it; OSError: it cannot be made.
    """
    while fcntl is not None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    return None
