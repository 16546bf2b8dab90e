"""A terminal's screen as an SVG picture: cell by cell what pyte saw, and nothing made up."""

import re
from collections.abc import Iterator
from html import escape
from itertools import groupby

from pyte.screens import Char

Cell = tuple[int, Char]

CELL = 8.4
LINE = 18
MARGIN = 16
HEAD = 34

_WORDS = re.compile(r"\S+(?: \S+)*")

_FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
_INK, _PAPER = "#d7dae0", "#16191f"
_COLOURS = {
    "black": "#2b303b",
    "red": "#e0616b",
    "green": "#8fc379",
    "brown": "#dcb86a",
    "blue": "#68a8ef",
    "magenta": "#c07ddb",
    "cyan": "#57b6c2",
    "white": "#c8ccd4",
    "brightblack": "#7a8291",
    "brightred": "#ff7b85",
    "brightgreen": "#a9dc93",
    "brightbrown": "#f2d08a",
    "brightyellow": "#f2d08a",
    "brightblue": "#86bdff",
    "brightmagenta": "#d79bf0",
    "brightcyan": "#7ad3de",
    "brightwhite": "#ffffff",
}


def svg(screen: list[list[Char]], title: str, cursor: tuple[int, int] | None = None) -> str:
    """The screen in a window. cursor: its row and column."""
    rows = _without_empty_end(screen)
    width = MARGIN * 2 + CELL * len(screen[0])
    height = HEAD + MARGIN + LINE * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        f'width="{width:.0f}" height="{height}" role="img" aria-label="{escape(title)}">',
        f'<rect width="100%" height="100%" rx="9" fill="{_PAPER}"/>',
        *(
            f'<circle cx="{18 + 17 * number}" cy="17" r="5" fill="{colour}"/>'
            for number, colour in enumerate(("#e0616b", "#dcb86a", "#8fc379"))
        ),
        f'<text x="50%" y="21" text-anchor="middle" font-family="system-ui, sans-serif" '
        f'font-size="12" fill="#8b93a3">{escape(title)}</text>',
        f'<g font-family="{escape(_FONT)}" font-size="14">',
    ]
    for number, row in enumerate(rows):
        parts += _row(row, HEAD + LINE * number)
    if cursor is not None and cursor[0] < len(rows):
        parts.append(_box(cursor[1], 1, HEAD + LINE * cursor[0], "#d7dae0", 0.55))
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _without_empty_end(screen: list[list[Char]]) -> list[list[Char]]:
    last = max((n for n, row in enumerate(screen) if any(_seen(cell) for cell in row)), default=0)
    return screen[: last + 1]


def _seen(cell: Char) -> bool:
    return bool(cell.data.strip()) or cell.reverse or cell.bg != "default"


def _row(row: list[Char], top: int) -> Iterator[str]:
    cells = [(column, cell) for column, cell in enumerate(row)]
    for (ink, paper, *_), group in groupby(cells, key=lambda cell: _look(cell[1])):
        run = list(group)
        column, width = run[0][0], len(run)
        if paper != _PAPER:
            yield _box(column, width, top, paper)
        yield from _texts(run, ink, top)


def _texts(run: list[Cell], ink: str, top: int) -> Iterator[str]:
    """A run of one look: words of ASCII in one piece, every other glyph in its own cell.

    Not two spaces in a row: viewers disagree on how wide they are.
    """
    for plain, group in groupby(run, key=lambda cell: cell[1].data.isascii()):
        cells = [cell for cell in group if cell[1].data]
        if not plain:
            for column, cell in cells:
                yield _text(column, cell.data, top, ink, cell, plain)
        elif cells:
            text = "".join(cell.data for _, cell in cells)
            for found in _WORDS.finditer(text):
                column = cells[found.start()][0]
                yield _text(column, found.group(), top, ink, cells[0][1], plain)


def _text(column: int, text: str, top: int, ink: str, cell: Char, plain: bool) -> str:
    look = [f'fill="{ink}"']
    if cell.bold:
        look.append('font-weight="bold"')
    if cell.italics:
        look.append('font-style="italic"')
    if cell.underscore or cell.strikethrough:
        line = "underline" if cell.underscore else "line-through"
        look.append(f'text-decoration="{line}"')
    if plain:
        look.append(f'textLength="{CELL * len(text):.1f}"')
    x, y = MARGIN + CELL * column, top + LINE - 5
    return f'<text x="{x:.1f}" y="{y}" {" ".join(look)}>{escape(text)}</text>'


def _box(column: int, width: int, top: int, colour: str, opacity: float = 1.0) -> str:
    x = MARGIN + CELL * column
    return (
        f'<rect x="{x:.1f}" y="{top}" width="{CELL * width:.1f}" height="{LINE}" '
        f'fill="{colour}" fill-opacity="{opacity}"/>'
    )


def _look(cell: Char) -> tuple[str, str, bool, bool, bool, bool]:
    """Ink, paper, and the rest of what makes two cells look different."""
    ink, paper = _colour(cell.fg, _INK), _colour(cell.bg, _PAPER)
    if cell.reverse:
        ink, paper = paper, ink
    return ink, paper, cell.bold, cell.italics, cell.underscore, cell.strikethrough


def _colour(name: str, default: str) -> str:
    if name == "default":
        return default
    return _COLOURS.get(name, f"#{name}")
