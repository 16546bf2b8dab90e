"""What all lists have in common: shown once or again and again, for people or as JSON."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
import msgspec
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from mesh.cli.screen import console

T = TypeVar("T")
Trouble = type[Exception] | tuple[type[Exception], ...]
F = TypeVar("F", bound=Callable[..., object])

EVERY = 1.0
"""Seconds between two looks of `--watch`."""


def listed(command: F) -> F:
    """Give a command the options that every list has: `--watch` and `--json` (as `as_json`)."""
    as_json = click.option(
        "--json", "as_json", is_flag=True, help="One JSON object; with --watch one a line."
    )
    watch = click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
    return watch(as_json(command))


async def show(
    look: Callable[[], Awaitable[T]],
    draw: Callable[[T], RenderableType],
    *,
    watch: bool,
    as_json: bool,
    trouble: Trouble,
) -> None:
    """Look, and show what was seen; with `watch` without end.

    Trouble while watching is said, and waited for to pass; the first look raises it.
    """
    first = await look()
    screen = console()

    def print_(seen: T) -> None:
        _print_json(seen) if as_json else screen.print(draw(seen))

    if not watch:
        print_(first)
    elif as_json or not screen.is_terminal:
        await _one_after_the_other(first, look, print_, trouble)
    else:
        await _in_place(screen, first, look, draw, trouble)


async def _one_after_the_other(
    first: T, look: Callable[[], Awaitable[T]], print_: Callable[[T], None], trouble: Trouble
) -> None:
    print_(first)
    while True:
        await asyncio.sleep(EVERY)
        try:
            print_(await look())
        except trouble:
            pass


async def _in_place(
    screen: Console,
    first: T,
    look: Callable[[], Awaitable[T]],
    draw: Callable[[T], RenderableType],
    trouble: Trouble,
) -> None:
    with Live(draw(first), console=screen, screen=True, auto_refresh=False) as live:
        live.refresh()
        while True:
            await asyncio.sleep(EVERY)
            try:
                live.update(draw(await look()), refresh=True)
            except trouble as error:
                live.update(Text(f"{error}\nLooking again ...", style="red"), refresh=True)


def _print_json(value: object) -> None:
    click.echo(msgspec.json.encode(value))
