"""A Markdown table as rows of a terminal. Where it is too wide, its cells are wrapped."""

import re

from mesh_client.repl.markdown.inline import parse
from mesh_client.repl.markdown.rows import Filler, Row, cells

BETWEEN = " │ "
LEAST = 4
"""Cells that a column keeps, however narrow the terminal is."""

_RULE = re.compile(r"^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$")
_BAR = re.compile(r"(?<!\\)\|")


def table(lines: list[str], width: int) -> list[Row]:
    """The table that these lines spell; without a rule under its head they stay as they are."""
    if len(lines) < 2 or not _RULE.match(lines[1]):
        return [parse(line) for line in lines]
    sides = [_side(cell) for cell in _split(lines[1])]
    body = [_split(line) for line in lines[2:]]
    grid = [[parse(cell, "class:strong") for cell in _split(lines[0])]]
    grid += [[parse(cell) for cell in line] for line in body]
    columns = max(len(line) for line in grid)
    for line in grid:
        line += [[] for _ in range(columns - len(line))]
    sides += ["left"] * (columns - len(sides))
    widths = _widths(grid, width)
    rule: Row = [("class:dim", "─┼─".join("─" * width for width in widths))]
    rows = [row for line in grid for row in _line(line, widths, sides)]
    head = len(_line(grid[0], widths, sides))
    return [*rows[:head], rule, *rows[head:]]


def _split(line: str) -> list[str]:
    """The cells of a line, without the bars at its ends."""
    inner = line.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return [cell.strip().replace("\\|", "|") for cell in _BAR.split(inner)]


def _side(cell: str) -> str:
    if cell.endswith(":"):
        return "centre" if cell.startswith(":") else "right"
    return "left"


def _widths(grid: list[list[Row]], width: int) -> list[int]:
    """What the columns want, and less for the widest ones where that is too much."""
    wanted = [max(1, *(cells(cell) for cell in column)) for column in zip(*grid, strict=True)]
    room = width - len(BETWEEN) * (len(wanted) - 1)
    while sum(wanted) > room and max(wanted) > LEAST:
        wanted[wanted.index(max(wanted))] -= 1
    return wanted


def _line(line: list[Row], widths: list[int], sides: list[str]) -> list[Row]:
    """One line of the table, which is as many rows high as its highest cell."""
    wrapped = [_wrap(cell, width) for cell, width in zip(line, widths, strict=True)]
    rows: list[Row] = []
    for number in range(max(len(cell) for cell in wrapped)):
        row: Row = []
        for column, cell in enumerate(wrapped):
            part = cell[number] if number < len(cell) else []
            row += [("class:dim", BETWEEN)] if column else []
            row += _padded(part, widths[column], sides[column])
        rows.append(row)
    return rows


def _wrap(cell: Row, width: int) -> list[Row]:
    filler = Filler([], [], narrowest=LEAST)
    filler.put(cell, width)
    return filler.finish(width) or [[]]


def _padded(part: Row, width: int, side: str) -> Row:
    missing = max(0, width - cells(part))
    left = {"left": 0, "right": missing, "centre": missing // 2}[side]
    return [("", " " * left), *part, ("", " " * (missing - left))]
