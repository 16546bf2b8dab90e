"""The blocks of a Markdown text while they grow: what each takes in, and which rows are done.

Pure. `printer` feeds them; a block is given whole lines, and shows a line that is not whole yet.
"""

from typing import Protocol

from mesh_client.repl.markdown.code import Highlighter
from mesh_client.repl.markdown.inline import Settler, parse
from mesh_client.repl.markdown.lines import Line
from mesh_client.repl.markdown.rows import Filler, Row
from mesh_client.repl.markdown.table import table

RULE = 40
"""Cells of a rule, and of what stands around code."""

CERTAIN = 24
"""Characters from which on the beginning of a line tells for sure what it is."""


class Block(Protocol):
    """A block that has begun. Widths are in cells."""

    def takes(self, line: Line) -> bool:
        """Whether the line is part of it."""

    def feed(self, raw: str, line: Line, width: int) -> None:
        """Take a whole line in."""

    def grow(self, line: Line, width: int) -> None:
        """Look at a line that is not whole; it comes again, longer, or whole by `feed`."""

    def take(self) -> list[Row]:
        """The rows that are done since the last call."""

    def tail(self, raw: str, line: Line | None, width: int) -> list[Row]:
        """How the rest looks, with a line that is not whole where there is one."""

    def finish(self, width: int) -> list[Row]:
        """All that is left."""


class Flow:
    """Running text: a paragraph, an item of a list, a heading."""

    def __init__(self, line: Line) -> None:
        self._begun_by = line
        self._filler = Filler(line.first, line.rest)
        self._settler = Settler()
        self._fed = 0
        self._lines = 0

    def takes(self, line: Line) -> bool:
        if not self._lines:
            return True
        ends = self._begun_by.kind == "heading"
        return line.kind == "text" and line.quotes == self._begun_by.quotes and not ends

    def feed(self, raw: str, line: Line, width: int) -> None:
        self._put(line, width)
        self._fed = 0
        self._lines += 1

    def grow(self, line: Line, width: int) -> None:
        if line.kind in ("text", "item") and len(line.text) > CERTAIN:
            self._put(line, width)

    def take(self) -> list[Row]:
        return self._filler.take()

    def tail(self, raw: str, line: Line | None, width: int) -> list[Row]:
        filler = self._filler.copy()
        more = self._between(line) + line.text[self._fed :] if line is not None else ""
        if not more and not self._settler.rest and not self._lines:
            return []
        filler.put(parse(self._settler.rest + more, self._begun_by.style), width)
        return filler.finish(width)

    def finish(self, width: int) -> list[Row]:
        self._filler.put(parse(self._settler.rest, self._begun_by.style), width)
        return self._filler.finish(width)

    def _put(self, line: Line, width: int) -> None:
        more = self._between(line) + line.text[self._fed :]
        self._fed = len(line.text)
        for part in self._settler.feed(more):
            self._filler.put(parse(part, self._begun_by.style), width)

    def _between(self, line: Line) -> str:
        return "\n" if self._lines and not self._fed else ""


class Fence:
    """A block of code. Its lines are never wrapped, so that they can be copied as they are."""

    def __init__(self, line: Line) -> None:
        self._marks, _, language = line.info.partition(" ")
        self._prefix = line.first
        self._indent = len("".join(text for style, text in line.first if not style))
        self._code = Highlighter(language)
        self._new: list[str] = []
        title = f" {language} " if language else ""
        self._rows: list[Row] = [self._rule(f"──{title}")]
        self._lines = 0
        self._closed = False
        self._ruled = False

    def takes(self, line: Line) -> bool:
        return not self._closed

    def feed(self, raw: str, line: Line, width: int) -> None:
        self._lines += 1
        if self._lines == 1:
            return
        if self._closes(raw):
            self._closed = True
        else:
            self._new.append(self._without_indent(raw))

    def grow(self, line: Line, width: int) -> None:
        pass

    def take(self) -> list[Row]:
        rows = self._rows + [self._prefix + row for row in self._code.lines(self._new)]
        self._rows, self._new = [], []
        return [*rows, *self._end()] if self._closed else rows

    def tail(self, raw: str, line: Line | None, width: int) -> list[Row]:
        if not raw or not self._lines or not raw.strip().strip(self._marks[0]):
            return []
        return [self._prefix + self._code.look_at(self._without_indent(raw))]

    def finish(self, width: int) -> list[Row]:
        return [*self.take(), *self._end()]

    def _end(self) -> list[Row]:
        """What stands below the code, once."""
        rows = [] if self._ruled else [self._rule("")]
        self._ruled = True
        return rows

    def _closes(self, raw: str) -> bool:
        text = raw.strip()
        return text.startswith(self._marks) and not text.strip(self._marks[0])

    def _without_indent(self, raw: str) -> str:
        spaces = len(raw) - len(raw.lstrip(" "))
        return raw[min(spaces, self._indent) :]

    def _rule(self, title: str) -> Row:
        return [*self._prefix, ("class:dim", title + "─" * (RULE - len(title)))]


class Table:
    """A table: how wide its columns are is known at its end only."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def takes(self, line: Line) -> bool:
        return line.kind == "table"

    def feed(self, raw: str, line: Line, width: int) -> None:
        self._lines.append(line.text)

    def grow(self, line: Line, width: int) -> None:
        pass

    def take(self) -> list[Row]:
        return []

    def tail(self, raw: str, line: Line | None, width: int) -> list[Row]:
        lines = [*self._lines, *([line.text] if line is not None else [])]
        return table(lines, width) if lines else []

    def finish(self, width: int) -> list[Row]:
        return table(self._lines, width)


class Rule:
    """A line across."""

    def __init__(self) -> None:
        self._lines = 0

    def takes(self, line: Line) -> bool:
        return not self._lines

    def feed(self, raw: str, line: Line, width: int) -> None:
        self._lines += 1

    def grow(self, line: Line, width: int) -> None:
        pass

    def take(self) -> list[Row]:
        return []

    def tail(self, raw: str, line: Line | None, width: int) -> list[Row]:
        return self.finish(width)

    def finish(self, width: int) -> list[Row]:
        return [[("class:dim", "─" * min(RULE, width))]]


def begin(line: Line) -> Block:
    """The block that this line begins; the line is still to be fed to it."""
    match line.kind:
        case "fence":
            return Fence(line)
        case "table":
            return Table()
        case "rule":
            return Rule()
        case _:
            return Flow(line)
