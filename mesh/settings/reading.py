"""Finds and checks the values of settings, and says where a wrong one stands."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import Struct
from platformdirs import user_config_path

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings.known import refuse_unknown

T = TypeVar("T", bound=Struct)


class Origin(NamedTuple):
    """Where a value came from: `flag`, `MESH_PORT`, a file's path, or `default`."""

    value: Any
    origin: str


def read(
    kind: type[T],
    flags: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    files: tuple[Path, ...] | None = None,
) -> T:
    """Read the settings of one service. `flags` that are None were not given.

    Raises MeshError (bad_request), naming the setting and where it stands, on a wrong value, and
    on one in a file that no service has.
    """
    for path, table in _tables(files):
        refuse_unknown(table, path)
    return _build(kind, origins(kind, flags, env, files))


def origins(
    kind: type[T],
    flags: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    files: tuple[Path, ...] | None = None,
) -> dict[str, Origin]:
    """Each field's value as found (text from the environment), and where it was found.

    An empty variable counts as unset, except where the empty text is a value of its own.
    """
    env = os.environ if env is None else env
    tables = _tables(files)
    found: dict[str, Origin] = {}
    for field in msgspec.structs.fields(kind):
        name = field.name
        variable = env_name(name)
        if flags and flags.get(name) is not None:
            found[name] = Origin(flags[name], "flag")
        elif env.get(variable) or (variable in env and field.default == ""):
            found[name] = Origin(env[variable], variable)
        else:
            hits = (Origin(table[name], path) for path, table in tables if name in table)
            found[name] = next(hits, Origin(field.default, "default"))
    return found


def env_name(field: str) -> str:
    """The environment variable of a setting."""
    return f"MESH_{field.upper()}"


def config_files() -> tuple[Path, ...]:
    """The files that may hold settings, the strongest first."""
    return (Path("mesh.toml"), user_config_path("mesh") / "mesh.toml")


def _tables(files: tuple[Path, ...] | None) -> list[tuple[str, dict[str, Any]]]:
    """What stands in each file that is there, the strongest first."""
    return [(str(path), _table(path)) for path in (files or config_files()) if path.is_file()]


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MeshError(ErrorCode.BAD_REQUEST, f"{path} is not valid TOML: {error}") from error


def _build(kind: type[T], found: dict[str, Origin]) -> T:
    values = {name: origin.value for name, origin in found.items()}
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        name = str(error).rpartition("$.")[2].rstrip("`")
        where = _where(name, found[name].origin)
        raise MeshError(ErrorCode.BAD_REQUEST, f"Set {where} to {_wanted(kind, name)}.") from error


def _where(name: str, origin: str) -> str:
    """Where a person changes a setting that was found at `origin`."""
    if origin == "flag":
        return f"--{name.replace('_', '-')}"
    return origin if origin == env_name(name) else f"{name} in {origin}"


def _wanted(kind: type[Struct], name: str) -> str:
    """What a setting may be, in words. The value itself stays unsaid: it may be a secret."""
    field = next(field for field in msgspec.structs.fields(kind) if field.name == name)
    info = msgspec.inspect.type_info(field.type)
    while isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    match info:
        case msgspec.inspect.IntType(ge=least, le=most):
            return f"a whole number {_bounds(None, least, most)}"
        case msgspec.inspect.FloatType(gt=above, ge=least, le=most):
            return f"a number {_bounds(above, least, most)}"
        case msgspec.inspect.StrType(pattern=str(pattern)):
            return f"text of the form {pattern}"
    return "text"


def _bounds(above: float | None, least: float | None, most: float | None) -> str:
    if most is None:
        return f"of at least {least:,}"
    if above is not None:
        return f"above {above:g} and up to {most:.0f}"
    return f"from {least:g} to {most:.0f}"
