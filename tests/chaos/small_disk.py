"""A small disk of one's own: a tmpfs that certain processes see, and nobody else.

Needs Linux and the right to make a namespace; with it, full means full: ENOSPC.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")

TRIES = 50
"""Times that a disk is made smaller; between our look and the deed somebody may have written."""


class Impossible(Exception):
    """This machine allows no such disk."""


class SmallDisk:
    """A tmpfs over a folder. What is started behind `prefix` sees it there. size: in bytes."""

    def __init__(self, folder: Path, holder: int, size: int) -> None:
        self.folder = folder
        self._size = size
        inside = ("--user", "--mount", "--preserve-credentials")
        self.prefix = ("nsenter", f"--target={holder}", *inside)
        self.inside = Path(f"/proc/{holder}/root{folder}")
        """The folder as those processes see it."""

    def copy(self, name: str, folder: Path) -> Path:
        """A copy of a file, and of what begins with its name, where everybody sees it.

        (SQLite would resolve `inside` to the folder of the same name in our own namespace.)
        """
        folder.mkdir(exist_ok=True)
        for path in self.inside.glob(f"{name}*"):
            shutil.copy(path, folder / path.name)
        return folder / name

    def fill(self, leaving: int) -> None:
        """Take all room but so many bytes away. Raises RuntimeError if that cannot be done."""
        for _ in range(TRIES):
            found = os.statvfs(self.inside)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize
            if self._resize(used + max(leaving, found.f_frsize)):
                return
            time.sleep(0.01)
        raise RuntimeError(f"{self.folder} cannot be filled")

    def empty(self) -> None:
        """Give that room back."""
        if not self._resize(self._size):
            raise RuntimeError(f"{self.folder} cannot be emptied")

    def _resize(self, size: int) -> bool:
        """Whether the disk has so many bytes now, which it cannot if there is more on it."""
        remount = ("mount", "-o", f"remount,size={size}", str(self.folder))
        done = subprocess.run([*self.prefix, *remount], stderr=subprocess.DEVNULL)
        return done.returncode == 0


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[SmallDisk]:
    """A disk of `size` bytes over a folder. Raises Impossible where this machine allows none."""
    folder.mkdir(parents=True, exist_ok=True)
    script = f"mount -t tmpfs -o size={size} tmpfs '{folder}' && echo mounted && exec sleep 36000"
    try:
        holder = subprocess.Popen(
            [*NAMESPACE, "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except FileNotFoundError:
        raise Impossible("this machine has no namespaces") from None
    assert holder.stdout is not None
    try:
        if holder.stdout.readline() != b"mounted\n":
            raise Impossible("this machine allows no namespaces")
        yield SmallDisk(folder, holder.pid, size)
    finally:
        holder.kill()
        holder.communicate()


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    """The same for a test, which is skipped where this machine allows none."""
    try:
        with mounted(folder, size) as disk:
            yield disk
    except Impossible as why:
        pytest.skip(str(why))
