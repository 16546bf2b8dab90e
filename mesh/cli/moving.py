"""Where the parts of a restored mesh lie until they are whole, and how they get to their places.

Until then there is a folder `restoring` in the data folder, and services refuse to start on it:
so what was cut off half-way is never taken for a mesh.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mesh.cli.enrol import BrokerFolder
from mesh.protocol.errors import ErrorCode, MeshError

STAGING = "restoring"

PARTS = ("token.key", "broker/secrets.json", "broker/tls", "broker/streams")
"""Of the data folder, beside the database."""


class Places:
    """A data folder, and its database, which may lie elsewhere."""

    def __init__(self, data: Path, database: Path) -> None:
        self.data = data
        self.database = database
        self.staging = data / STAGING
        self.staged_database = database.with_name(f"{database.name}.restoring")

    def refuse_used(self, replace: bool) -> None:
        """Raise MeshError (conflict) if there is something of a mesh, unless it may be replaced."""
        found = [path for path in self._now() if path.exists()]
        if found and not replace:
            raise MeshError(
                ErrorCode.CONFLICT,
                f"There is a mesh in {self.data} ({found[0].name}): choose an empty folder with "
                "--data-dir or MESH_DATA_DIR, or put this one aside with --replace.",
            )

    @contextmanager
    def staged(self) -> Iterator[None]:
        """Empty places beside the final ones; what is left in them goes away at the end."""
        self._clear()
        self.staging.mkdir(mode=0o700)
        self.database.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield
        finally:
            self._clear()

    def settle(self, replace: bool) -> None:
        """Move what was staged to its places, the present content of which is put aside."""
        if replace:
            self._put_aside()
        for name in PARTS:
            source, target = self.staging / name, self.data / name
            if source.exists():
                target.parent.mkdir(exist_ok=True, mode=0o700)
                source.replace(target)
        self.staged_database.replace(self.database)
        if (self.data / "broker" / "streams").exists():
            BrokerFolder(self.data).prepare()  # its configuration names files by their place
        os.sync()

    def _put_aside(self) -> None:
        """Into a folder of the data folder; the database beside itself, if it lies elsewhere."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        aside = self.data / f"before-restore-{stamp}"
        for path in self._now():
            if not path.exists():
                continue
            if path.is_relative_to(self.data):
                target = aside / path.relative_to(self.data)
            else:
                target = path.with_name(f"{path.name}.before-restore-{stamp}")
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.replace(target)

    def _now(self) -> list[Path]:
        """All that a restored mesh takes the place of; not an empty folder of streams."""
        parts = [self.data / name for name in PARTS]
        streams = parts[-1]
        if streams.is_dir() and not any(streams.iterdir()):
            parts.remove(streams)
        beside = [self.database.with_name(f"{self.database.name}{end}") for end in ("-wal", "-shm")]
        return [self.database, *beside, *parts]

    def _clear(self) -> None:
        if self.staging.exists():
            shutil.rmtree(self.staging)
        for end in ("", "-wal", "-shm", "-journal"):
            path = self.staged_database.with_name(f"{self.staged_database.name}{end}")
            path.unlink(missing_ok=True)


def refuse_half_restored(data: Path) -> None:
    """Raise MeshError (conflict) where `mesh restore` is at work, or was cut off."""
    if os.path.exists(data / STAGING):  # not Path.exists: what we may not read is said elsewhere
        raise MeshError(
            ErrorCode.CONFLICT,
            f"{data} is being restored, or that was cut off: wait for `mesh restore`, or run it "
            f"again (with --replace), or remove {data / STAGING} if you never want it.",
        )
