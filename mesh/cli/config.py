"""`mesh config`: which settings hold here, and where each comes from."""

import asyncio
import sys
from contextlib import suppress
from typing import Any

import click
import msgspec
from msgspec import Struct
from rich.console import Group, RenderableType
from rich.text import Text

from mesh.cli.options import describe, is_secret
from mesh.cli.screen import table
from mesh.cli.watch import listed, show
from mesh.protocol.errors import MeshError
from mesh.protocol.hidden import without_userinfo
from mesh.settings import KINDS, config_files, env_name, origins, read


class Setting(Struct, frozen=True, kw_only=True):
    """One setting. origin: a variable, a file, or `default`; a secret's value is never told, only
    whether it is set, and of an address neither name nor password."""

    name: str
    value: str | int | float | bool
    origin: str
    meaning: str


class Config(Struct, frozen=True, kw_only=True):
    """All settings, and the files that were looked for, the first of which counts most.

    wrong: a sentence for each value that a service would refuse.
    """

    settings: list[Setting]
    files: list[str]
    wrong: list[str]


@click.group("config")
def command() -> None:
    """Show the settings that hold here.

    A flag counts more than MESH_* in the environment, that more than ./mesh.toml, and that more
    than your own mesh.toml.
    """


@command.command("show")
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@click.option("--changed", is_flag=True, help="Leave out what is at its default.")
@listed
def show_all(origin: bool, changed: bool, watch: bool, as_json: bool) -> None:
    """Show every setting and its value. Exit status 1 if a service would refuse one."""

    async def look() -> Config:
        return read_all(changed)

    def draw(config: Config) -> RenderableType:
        return render(config, origin)

    with suppress(KeyboardInterrupt):
        asyncio.run(show(look, draw, watch=watch, as_json=as_json, trouble=MeshError))
    sys.exit(1 if read_all().wrong else 0)


def read_all(changed: bool = False) -> Config:
    """Every setting of every service, by name; `changed`: those that are not at their default."""
    found: dict[str, Setting] = {}
    for kind in KINDS:
        values = origins(kind, {})
        for field in msgspec.structs.fields(kind):
            value, origin = values[field.name]
            shown = ("set" if value else "") if is_secret(field.name) else _open(value)
            if not changed or origin != "default":
                found.setdefault(field.name, Setting(
                    name=field.name, value=shown, origin=origin, meaning=describe(field)
                ))  # fmt: skip
    return Config(
        settings=[found[name] for name in sorted(found)],
        files=[str(path) for path in config_files()],
        wrong=sorted({str(error) for kind in KINDS if (error := _refused(kind)) is not None}),
    )


def _open(value: Any) -> Any:
    """A value without the name and the password of an address."""
    return without_userinfo(value) if isinstance(value, str) else value


def _refused(kind: type[Struct]) -> MeshError | None:
    """Why a service of this kind would not start."""
    try:
        read(kind)
    except MeshError as error:
        return error
    return None


def render(config: Config, origin: bool) -> RenderableType:
    """The settings as a table, and below it the files."""
    columns = ("SETTING", "VALUE", *(("ORIGIN",) if origin else ()), "VARIABLE")
    shown = table("Settings", *columns, shrinks=("VALUE", "ORIGIN"))
    for column in shown.columns:
        column.overflow = "fold"  # a path of which the end is missing is none
    for setting in config.settings:
        own = setting.origin != "default"
        cells = [Text(setting.name, style="cyan"), Text(str(setting.value) or "-")]
        if origin:
            cells.append(Text(setting.origin, style="green" if own else "dim"))
        shown.add_row(*cells, Text(env_name(setting.name), style="dim"))
    files = "\n".join(f"  {file}" for file in config.files)
    wrong = [Text(sentence, style="red") for sentence in config.wrong]
    sources = Text(f"Read where they exist, the first counts most:\n{files}", style="dim")
    return Group(shown, Text(), sources, *wrong)
