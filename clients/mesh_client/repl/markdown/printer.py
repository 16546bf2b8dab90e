"""Turns streamed Markdown into rows: those that are done, each given once, and how the rest looks.

The text of an answer comes in pieces of any size. Whatever cannot change any more leaves through
`take` at once, even in the middle of a paragraph; the rest is short enough to be drawn again.
"""

from mesh_client.repl.markdown.blocks import CERTAIN, Block, begin
from mesh_client.repl.markdown.lines import Line, indentation, read
from mesh_client.repl.markdown.rows import Row
from mesh_client.terminal import printable

WIDEST = 100
"""Cells of the longest row of running text: longer ones are hard to read."""

_APART = ("heading", "fence", "table", "rule")


class MarkdownPrinter:
    """`feed` text, `take` rows that are done, draw `tail`; `finish` when there is no more.

    Each takes the terminal's width in cells: rows that were taken keep the width they had.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._partial = ""
        self._block: Block | None = None
        self._rows: list[Row] = []
        self._before: Line | None = None
        self._gap = False
        self._hang: Row = []

    def feed(self, text: str) -> None:
        """Take the next piece; control characters are left out."""
        *lines, self._partial = (self._partial + printable(text)).split("\n")
        self._lines += lines

    def take(self, width: int) -> list[Row]:
        """The rows that are done since the last call."""
        width = min(width, WIDEST)
        lines, self._lines = self._lines, []
        for line in lines:
            self._line(line, width)
        if self._partial:
            self._grow(self._read(self._partial), width)
        if self._block is not None:
            self._rows += self._block.take()
        rows, self._rows = self._rows, []
        return rows

    def tail(self, width: int) -> list[Row]:
        """How what is not done yet looks, after `take`."""
        width = min(width, WIDEST)
        if not self._partial:
            return self._block.tail("", None, width) if self._block is not None else []
        line = self._read(self._partial)
        if self._block is not None and self._block.takes(line):
            return self._block.tail(self._partial, line, width)
        shown = self._block.tail("", None, width) if self._block is not None else []
        if self._apart(line):
            shown.append([])
        return shown + begin(line).tail(self._partial, line, width)

    def finish(self, width: int) -> list[Row]:
        """All that is left."""
        if self._partial:
            self._lines.append(self._partial)
            self._partial = ""
        rows = self.take(width)
        self._end(min(width, WIDEST))
        rows += self._rows
        self._rows = []
        return rows

    def _line(self, raw: str, width: int) -> None:
        line = self._read(raw)
        if self._block is None or not self._block.takes(line):
            self._end(width)
            if line.kind == "blank":
                self._gap = True
                return
            self._begin(line)
        assert self._block is not None
        self._block.feed(raw, line, width)

    def _grow(self, line: Line, width: int) -> None:
        """A line that is sure to be running text is shown as it comes."""
        if self._block is not None and self._block.takes(line):
            self._block.grow(line, width)
        elif line.kind in ("text", "item") and len(line.text) > CERTAIN:
            self._end(width)
            self._begin(line)

    def _begin(self, line: Line) -> None:
        if self._apart(line):
            self._rows.append([])
        self._block, self._before, self._gap = begin(line), line, False
        if line.kind == "item":
            self._hang = line.rest

    def _end(self, width: int) -> None:
        if self._block is not None:
            self._rows += self._block.finish(width)
            self._block = None

    def _apart(self, line: Line) -> bool:
        """Whether an empty row stands before this line."""
        before = self._before
        if before is None:
            return False
        return self._gap or line.kind in _APART or before.kind in ("fence", "table", "rule")

    def _read(self, raw: str) -> Line:
        """What a line is; text under an item of a list, behind an empty line, stays under it."""
        line = read(raw)
        if line.kind != "text" or line.quotes:
            return line
        if self._hang and indentation(raw) >= 2:
            return line._replace(text=raw.lstrip(), first=self._hang, rest=self._hang)
        return line
