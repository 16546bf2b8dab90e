"""What a source line of Markdown is, and what stands before its rows. Pure.

A block is told by how its first line begins, so that it can be shown before it has ended: a
heading that is underlined, or a table whose rows begin without a bar, is shown as text.
"""

import re
from typing import Literal, NamedTuple

from mesh_client.repl.markdown.rows import Row

Kind = Literal["blank", "text", "item", "heading", "rule", "table", "fence"]


class Line(NamedTuple):
    """One line. text: without its marks; first, rest: what stands before its rows.

    quotes: how often it is quoted; info: of a fence its marks, and behind a space its language.
    """

    kind: Kind
    text: str
    first: Row
    rest: Row
    quotes: int = 0
    style: str = ""
    info: str = ""


_QUOTE = re.compile(r" {0,3}>( ?)")
_FENCE = re.compile(r"(\s*)(`{3,}|~{3,})\s*([^\s`]*)[^`]*$")
_HEADING = re.compile(r" {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$")
_RULE = re.compile(r" {0,3}([-*_])(?:\s*\1){2,}\s*$")
_ITEM = re.compile(r"(\s*)([-*+]|\d{1,9}[.)])(?:(\s{1,4})(?=\S)|\s*$)(?:\[([ xX])\]\s+)?")
_BULLETS = "•◦▪"
_BAR: Row = [("class:quote", "▎ ")]


def read(line: str) -> Line:
    """What the line is."""
    quotes = 0
    while found := _QUOTE.match(line):
        line = line[found.end() :]
        quotes += 1
    inside = _inside(line)
    if not quotes:
        return inside
    bars = quotes * _BAR
    return inside._replace(
        kind="text" if inside.kind == "blank" else inside.kind,
        first=bars + inside.first,
        rest=bars + inside.rest,
        quotes=quotes,
    )


def _inside(line: str) -> Line:
    """What it is apart from being quoted."""
    if not line.strip():
        return Line("blank", "", [], [])
    if found := _FENCE.match(line):
        indent: Row = [("", found[1].expandtabs())]
        return Line("fence", "", indent, indent, info=f"{found[2]} {found[3]}")
    if _RULE.match(line):
        return Line("rule", "", [], [])
    if found := _HEADING.match(line):
        level = "class:h1" if len(found[1]) == 1 else "class:h2"
        return Line("heading", found[2] or "", [], [], style=level)
    if found := _ITEM.match(line):
        return _item(line, found)
    if line.lstrip().startswith("|"):
        return Line("table", line.strip(), [], [])
    return Line("text", line, [], [])


def _item(line: str, found: re.Match[str]) -> Line:
    indent = found[1].expandtabs(4)
    mark = found[2]
    if not mark[0].isdigit():
        mark = _BULLETS[min(len(indent) // 2, len(_BULLETS) - 1)]
    if found[4]:
        mark = "☐" if found[4] == " " else "☑"
    first: Row = [("", indent), ("class:bullet", mark), ("", " ")]
    rest: Row = [("", " " * (len(indent) + len(mark) + 1))]
    return Line("item", line[found.end() :], first, rest)


def indentation(line: str) -> int:
    """Cells of white space at the beginning of a line."""
    wide = line.expandtabs(4)
    return len(wide) - len(wide.lstrip())
