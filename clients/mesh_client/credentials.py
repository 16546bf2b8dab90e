"""Where tokens are kept between runs: one file of the user's own, readable by nobody else.

A gateway's address leads to one sign-in. The tokens are secrets: they are never in a `repr`, and
the file is created with mode 0600 and replaced as a whole.
"""

import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct
from platformdirs import user_config_path

from mesh_client.config import system_user
from mesh_client.locks import Lock, locked

PATIENCE = 2.0
"""Seconds that one waits for another process to have written the file."""


class Credentials(Struct, frozen=True, kw_only=True):
    """One sign-in: who, the token for requests, and the one that renews it.

    by_name: the name alone was enough, and will be again.
    """

    username: str
    access_token: str
    refresh_token: str
    by_name: bool = True

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r})"


class CredentialStore(Protocol):
    """Keeps the sign-in of one gateway."""

    def load(self) -> Credentials | None:
        """The sign-in, or None."""
        ...

    def save(self, credentials: Credentials | None) -> None:
        """Keep it; None: forget it."""
        ...


class MemoryStore:
    """Forgets with the process: for scripts and tests that leave nothing behind."""

    def __init__(self) -> None:
        self._credentials: Credentials | None = None

    def load(self) -> Credentials | None:
        return self._credentials

    def save(self, credentials: Credentials | None) -> None:
        self._credentials = credentials


class FileStore:
    """One gateway's entry of the file, read anew each time: another process may have renewed it.

    A disk that is full or read-only costs the memory of a sign-in, and never the sign-in: then it
    is kept until the process ends, and `trouble` says in words why.
    """

    def __init__(self, url: str, path: Path | None = None) -> None:
        self.trouble: str | None = None
        self.url = url
        self._path = path or default_path()
        self._unsaved: Credentials | None = None

    @property
    def place(self) -> tuple[Path, str]:
        """Which sign-in this is: the same for every store of the same entry."""
        return self._path, self.url

    def load(self) -> Credentials | None:
        return self._unsaved or self._read().get(self.url)

    def save(self, credentials: Credentials | None) -> None:
        self._unsaved = None
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self._beside("lock"), PATIENCE):
                entries = self._read()
                if credentials is None:
                    entries.pop(self.url, None)
                else:
                    entries[self.url] = credentials
                self._write(entries)
        except OSError as error:
            self._unsaved = credentials
            self.trouble = f"{self._path} cannot be written ({error.strerror})"

    def lock(self) -> Lock:
        """What a process holds while it renews this sign-in, for a refresh token is good for one
        use."""
        return Lock(self._beside(f"{sha256(self.url.encode()).hexdigest()[:16]}.lock"))

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(f".{self._path.name}.{suffix}")

    def _read(self) -> dict[str, Credentials]:
        """All entries. A file that is damaged or unreadable counts as empty: signing in again
        mends it, or says why not."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Credentials])
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return {}

    def _write(self, entries: dict[str, Credentials]) -> None:
        handle, name = tempfile.mkstemp(dir=self._path.parent)  # created with mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(entries))
            os.replace(name, self._path)
        except BaseException:
            os.unlink(name)
            raise


def known_user(store: CredentialStore) -> str:
    """Who signed in last, else the system's user."""
    kept = store.load()
    return kept.username if kept is not None else system_user()


def default_path() -> Path:
    """The file in the user's configuration folder."""
    return user_config_path("mesh") / "credentials.json"
