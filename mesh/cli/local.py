"""What the data folder knows and a command was not told: passwords, and where the broker listens.

A machine that was told both (`mesh join` prints them) needs no data folder.
"""

from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from mesh.cli.enrol import BrokerFolder, write_private
from mesh.cli.moving import refuse_half_restored
from mesh.settings import Settings, broker_url, origins, reachable, read

S = TypeVar("S", bound=Settings)


class Running(Struct, frozen=True, kw_only=True):
    """Where a `mesh up` can be reached, kept in its data folder while it runs."""

    pid: int
    nats_host: str
    nats_port: int
    gateway: str
    tls: bool = False

    @property
    def nats(self) -> str:
        """The broker's URL from this machine."""
        return broker_url(reachable(self.nats_host), self.nats_port, self.tls)


def settings_of(role: str, kind: type[S], flags: dict[str, Any]) -> S:
    """The settings of gateway, store or operator, with the password the data folder keeps."""
    settings = with_address(kind, flags)
    refuse_half_restored(settings.data_path)
    field = f"{role}_password"
    if getattr(settings, field):
        return settings
    kept = BrokerFolder(settings.data_path).credential(role)
    return msgspec.structs.replace(settings, **{field: kept.password})


def with_address(kind: type[S], flags: dict[str, Any]) -> S:
    """Settings whose broker is the one running on the data folder, unless they name another, and
    whose certificate is that folder's, unless they say."""
    settings = read(kind, flags)
    found = origins(kind, flags)
    told = any(found[name].origin != "default" for name in ("nats", "nats_host", "nats_port"))
    running = None if told else recall(settings.data_path)
    if not settings.nats_ca:
        settings = msgspec.structs.replace(settings, nats_ca=BrokerFolder(settings.data_path).ca)
    return msgspec.structs.replace(settings, nats=running.nats) if running else settings


def remember(data_path: Path, running: Running) -> None:
    write_private(_record(data_path), msgspec.json.format(msgspec.json.encode(running)) + b"\n")


def recall(data_path: Path) -> Running | None:
    """What `remember` wrote, or None if it cannot be read. It outlives a `mesh up` that was
    killed."""
    try:
        return msgspec.json.decode(_record(data_path).read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):
        return None


def forget(data_path: Path) -> None:
    _record(data_path).unlink(missing_ok=True)


def _record(data_path: Path) -> Path:
    return data_path / "running.json"
