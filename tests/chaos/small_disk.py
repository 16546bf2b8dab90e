"""A small disk of one's own: a tmpfs that certain processes see, and nobody else.

Needs Linux and the right to make a namespace; with it, full means full: ENOSPC.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BALLAST = "ballast"
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")


class SmallDisk:
    """A tmpfs over a folder. What is started behind `prefix` sees it there."""

    def __init__(self, folder: Path, holder: int) -> None:
        self.folder = folder
        inside = ("--user", "--mount", "--preserve-credentials")
        self.prefix = ("nsenter", f"--target={holder}", *inside)
        self.inside = Path(f"/proc/{holder}/root{folder}")
        """The folder as those processes see it."""

    @property
    def free(self) -> int:
        """Bytes of room."""
        found = os.statvfs(self.inside)
        return found.f_bavail * found.f_frsize

    def copy(self, name: str, folder: Path) -> Path:
        """A copy of a file, and of what begins with its name, where everybody sees it.

        (SQLite would resolve `inside` to the folder of the same name in our own namespace.)
        """
        folder.mkdir(exist_ok=True)
        for path in self.inside.glob(f"{name}*"):
            shutil.copy(path, folder / path.name)
        return folder / name

    def fill(self, leaving: int) -> None:
        """Let somebody else take all room but so many bytes."""
        with (self.inside / BALLAST).open("wb") as ballast:
            ballast.write(bytes(max(0, self.free - leaving)))

    def empty(self) -> None:
        """Give that room back."""
        (self.inside / BALLAST).unlink()


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    """A disk of `size` bytes over a folder; skips the test where this machine allows none."""
    folder.mkdir(parents=True, exist_ok=True)
    script = f"mount -t tmpfs -o size={size} tmpfs '{folder}' && echo mounted && exec sleep 3600"
    try:
        holder = subprocess.Popen(
            [*NAMESPACE, "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except FileNotFoundError:
        pytest.skip("this machine has no namespaces")
    assert holder.stdout is not None
    try:
        if holder.stdout.readline() != b"mounted\n":
            pytest.skip("this machine allows no namespaces")
        yield SmallDisk(folder, holder.pid)
    finally:
        holder.kill()
        holder.communicate()
