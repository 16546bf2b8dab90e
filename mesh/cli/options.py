"""Settings as options of a command line. What a secret is called has no option: argv is public."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec
from msgspec import Struct

from mesh.settings import env_name

F = TypeVar("F", bound=Callable[..., Any])

_SECRET = ("password", "secret", "key")


def options(kind: type[Struct], *names: str) -> Callable[[F], F]:
    """Give a command one option for each setting of `kind`, or for the named ones only.

    An option that was not given is None, so that `mesh.settings.read` looks further.
    """

    def decorate(command: F) -> F:
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        for name in reversed(names or tuple(fields)):
            if not is_secret(name):
                command = _option(fields[name])(command)
        return command

    return decorate


def is_secret(name: str) -> bool:
    """Whether a setting must not stand on a command line."""
    return name.rpartition("_")[2] in _SECRET


def describe(field: msgspec.structs.FieldInfo) -> str:
    """What the settings say about one of their fields."""
    info = msgspec.inspect.type_info(field.type)
    while isinstance(info, msgspec.inspect.Metadata):
        if info.extra_json_schema and "description" in info.extra_json_schema:
            return str(info.extra_json_schema["description"])
        info = info.type
    return ""


def _option(field: msgspec.structs.FieldInfo) -> Callable[[F], F]:
    default = f" [default: {field.default}]" if field.default not in ("", 0, 0.0) else ""
    return click.option(
        f"--{field.name.replace('_', '-')}",
        metavar=type(field.default).__name__.upper().replace("STR", "TEXT"),
        help=f"{describe(field)} ({env_name(field.name)}){default}",
    )
