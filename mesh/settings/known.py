"""All settings there are, and what is said of a name in a file that is none of them."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from msgspec import Struct

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings.gateway import GatewaySettings
from mesh.settings.operator import OperatorSettings, UpSettings
from mesh.settings.store import StoreSettings
from mesh.settings.worker import WorkerSettings

KINDS: tuple[type[Struct], ...] = (
    UpSettings,
    GatewaySettings,
    WorkerSettings,
    StoreSettings,
    OperatorSettings,
)
"""Of each service its own. One file may be read by all of them."""

NAMES = frozenset(name for kind in KINDS for name in kind.__struct_fields__)


def refuse_unknown(table: Mapping[str, Any], path: str) -> None:
    """Raise MeshError (bad_request) for what a file says that is no setting of any service.

    table: what stands in the file. Only names are told: a value may be a secret.
    """
    for name, value in table.items():
        if name not in NAMES:
            raise MeshError(ErrorCode.BAD_REQUEST, _advice(name, value, path))


def _advice(name: str, value: Any, path: str) -> str:
    if isinstance(value, Mapping):
        return (
            f"Write what stands under {name!r} in {path} without that section: settings have "
            "none, such as port = 8080."
        )
    near = _near(name)
    if near:
        return f"Write {near} instead of {name!r} in {path}: there is no setting of that name."
    return f"Take {name!r} out of {path}: there is no setting of that name."


def _near(name: str) -> str | None:
    """The setting that was meant, if one is spelled almost so, or as its variable or option is."""
    plain = name.lower().replace("-", "_").removeprefix("mesh_").strip("_")
    return next(iter(get_close_matches(plain, sorted(NAMES), 1)), None)
