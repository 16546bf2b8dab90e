"""The table of all settings, made from their Structs. `tools.generated` writes it down."""

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo

from mesh.cli.options import describe, is_secret
from mesh.settings import (
    GatewaySettings,
    OperatorSettings,
    StoreSettings,
    UpSettings,
    WorkerSettings,
    env_name,
)
from tools.markdown import table

READERS: dict[str, type[Struct]] = {
    "gateway": GatewaySettings,
    "store": StoreSettings,
    "worker": WorkerSettings,
    "operator": OperatorSettings,
    "up": UpSettings,
}
"""Who reads settings. `mesh up` hands its environment on to the services it starts."""

_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"))


def fields() -> dict[str, FieldInfo]:
    """Each setting once, as the first of its readers has it."""
    found: dict[str, FieldInfo] = {}
    for kind in READERS.values():
        for field in msgspec.structs.fields(kind):
            found.setdefault(field.name, field)
    return found


def settings() -> str:
    """Every setting: variable, option, readers, default and meaning."""
    rows = [
        (
            f"`{env_name(name)}`",
            "" if is_secret(name) else f"`--{name.replace('_', '-')}`",
            _readers(name),
            _spelled(field.default),
            describe(field),
        )
        for name, field in fields().items()
    ]
    return table(("variable", "option", "read by", "default", "meaning"), rows)


def _readers(name: str) -> str:
    """Who reads it; `mesh up` only where it reads it for itself alone."""
    readers = [reader for reader, kind in READERS.items() if name in kind.__struct_fields__]
    services = [reader for reader in readers if reader != "up"]
    return "all" if len(services) == len(READERS) - 1 else ", ".join(services or readers)


def _spelled(default: Any) -> str:
    if default == "":
        return ""
    for size, unit in _UNITS:
        if isinstance(default, int) and default >= size and default % size == 0:
            return f"{default} ({default // size} {unit})"
    return f"{default:g}" if isinstance(default, float) else str(default)
