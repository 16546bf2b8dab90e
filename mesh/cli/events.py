"""`mesh events`: what happens in the mesh, line by line, as the log tells it."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mesh.bus.connection import BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import Stored, unix
from mesh.bus.tail import Tail
from mesh.cli.fleet import connected
from mesh.cli.lines import STYLES, Line, lines
from mesh.cli.local import settings_of
from mesh.cli.options import options
from mesh.cli.screen import console
from mesh.protocol import subjects
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import OperatorSettings

BATCH = 500
WAIT = 2.0
"""Seconds between two looks when nothing wakes us."""

ROOMY = 120
"""Columns from which on there is room for a request's whole id."""

Show = Callable[[Line], None]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A time span such as `90s`, `10m`, `2h` or `1d`, in seconds."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no time span; write one like 90s, 10m, 2h or 1d.")
    return float(found[1]) * _UNITS[found[2]]


@click.command("events")
@click.option("--since", callback=_seconds, help="Begin so long ago, such as 90s, 10m, 2h or 1d.")
@click.option("--tokens", is_flag=True, help="Show the tokens as well: the answers' own words.")
@click.option("--no-follow", is_flag=True, help="Stop at the log's end instead of waiting there.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line.")
@options(OperatorSettings, "data_dir", "nats")
def command(
    since: float | None, tokens: bool, no_follow: bool, as_json: bool, **flags: Any
) -> None:
    """Watch what happens in the mesh: requests asked, claimed and ended, workers come and gone.

    Reads the broker's log alone, so it works while the gateway is down. Shows what happened, not
    what was said, unless --tokens asks for it.
    """
    settings = settings_of("operator", OperatorSettings, flags)
    show = _show_json if as_json else shower(console())
    with suppress(KeyboardInterrupt, BrokenPipeError):
        asyncio.run(_watch(settings, since, tokens, not no_follow, show))


async def _watch(
    settings: OperatorSettings, since: float | None, tokens: bool, follow: bool, show: Show
) -> None:
    async with connected(settings) as js:
        tail = Tail(js.bus, js, tokens)
        try:
            after = await _beginning(js, since)
        except BusError as error:
            raise MeshError(ErrorCode.BROKER_UNAVAILABLE, _NO_LOG.format(error=error)) from error
        while True:
            batch = await _read(tail, after, follow)
            for stored in batch:
                for line in lines(stored):
                    show(line)
                after = stored.seq
            if not batch and not follow:
                return
            if not batch:
                await tail.wait(WAIT)


async def _read(tail: Tail, after: int, patient: bool) -> list[Stored]:
    """What comes next; while the broker is away nothing does."""
    try:
        return await tail.read(after, BATCH)
    except BusError as error:
        if not patient:
            raise MeshError(ErrorCode.BROKER_UNAVAILABLE, _NO_LOG.format(error=error)) from error
        return []


async def _beginning(js: JetStream, since: float | None) -> int:
    """The sequence after which to read: of the log's end, or of `since` seconds ago."""
    info = await js.stream_info(subjects.RUN_STREAM)
    if since is None:
        return info.state.last_seq
    wanted = unix(info.ts) - since
    low, high = info.state.first_seq, info.state.last_seq + 1
    while low < high:  # the first message that is not older lies in low..high
        middle = (low + high) // 2
        stored = await js.next(subjects.RUN_STREAM, subjects.RUN_ALL, middle)
        if stored is None or stored.at >= wanted:
            high = middle
        else:
            low = stored.seq + 1
    return low - 1


def _show_json(line: Line) -> None:
    click.echo(msgspec.json.encode(line))


def shower(screen: Console) -> Show:
    """Lines for people: what does not fit beside its event goes on below itself."""
    short = screen.width < ROOMY

    def show(line: Line) -> None:
        clock, subject, event, said = line.parts(short)
        row = Table.grid(padding=(0, 2, 0, 0))
        for _ in (clock, subject, event):
            row.add_column(no_wrap=True)
        row.add_column(overflow="fold")
        style = STYLES.get(line.event, "")
        row.add_row(Text(clock, "dim"), Text(subject), Text(event, style), Text(said))
        screen.print(row)

    return show


_NO_LOG = "The log cannot be read: {error}. Has a gateway ever run here? `mesh doctor` knows more."
