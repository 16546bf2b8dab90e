"""How the operator's commands look: aligned tables and plain words, coloured on a terminal only."""

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mesh_client.terminal import in_one_line

PIPED = 10_000
"""Columns where nobody looks: what is read by a program is neither wrapped nor cut."""


def console() -> Console:
    """Stdout as rich sees it; NO_COLOR is honoured, and a pipe gets plain text."""
    width = None if sys.stdout.isatty() else PIPED
    return Console(highlight=False, width=width, soft_wrap=False)


def table(
    title: str | None, *columns: str, right: tuple[str, ...] = (), shrinks: tuple[str, ...] = ()
) -> Table:
    """A table without lines, its title, if it has one, above.

    right: columns of numbers; shrinks: those that give way where the terminal is narrow.
    """
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=None,
        pad_edge=False,
        padding=(0, 3, 0, 0),
    )
    for name in columns:
        made.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=name not in shrinks,
            overflow="ellipsis",
        )
    return made


def cell(text: str, style: str = "") -> Text:
    """What others wrote, for a place in a table: it neither ends the row nor speaks to us."""
    return Text(in_one_line(text), style=style)


def duration(seconds: float) -> str:
    """A time span to its two greatest units: `350 ms`, `4.2 s`, `3 min 5 s`, `2 h 7 min`."""
    if seconds < 1:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def size(count: float) -> str:
    """Bytes in binary units: `512 B`, `1.4 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def count(number: int, noun: str) -> str:
    """`1 token`, `2 tokens`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
