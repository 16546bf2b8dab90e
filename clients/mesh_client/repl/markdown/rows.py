"""Fills rows with styled words, as a typesetter does: a row that is full is never touched again.

Pure. Widths are in cells of a terminal: a wide glyph takes two.
"""

import re
from collections.abc import Iterator

from prompt_toolkit.utils import get_cwidth

Span = tuple[str, str]
"""A style and a text that has it."""

Row = list[Span]

_WORDS = re.compile(r"\n|[^\S\n]+|[^\s]+")
NARROWEST = 8
"""Cells that text gets beside its indentation, however narrow the terminal is."""


def cells(row: Row) -> int:
    """How wide a row is."""
    return sum(get_cwidth(text) for _, text in row)


def cut(text: str, room: int) -> tuple[str, str]:
    """As much of the text as fits into `room` cells, at least one character, and the rest."""
    used = 0
    for index, character in enumerate(text):
        used += get_cwidth(character)
        if used > room and index:
            return text[:index], text[index:]
    return text, ""


def last(row: Row, room: int) -> Row:
    """The end of a row, as much as fits into `room` cells."""
    kept: Row = []
    for style, text in reversed(row):
        start = len(text)
        while start and room >= get_cwidth(text[start - 1]):
            start -= 1
            room -= get_cwidth(text[start])
        kept.insert(0, (style, text[start:]))
        if start:
            break
    return kept


class Filler:
    """Takes spans, gives rows. `first` stands before the first row, `rest` before the others.

    A word moves to the next row where it does not fit, is broken where it fits into none, and
    wide glyphs (which need no spaces between words) are broken anywhere.
    """

    def __init__(self, first: Row, rest: Row, narrowest: int = NARROWEST) -> None:
        self._prefix = first
        self._rest = rest
        self._narrowest = narrowest
        self._begun = False
        self._row: Row = []
        self._space: Row = []
        self._word: Row = []
        self._rows: list[Row] = []

    def copy(self) -> "Filler":
        """Another one that goes on from here, to try out how something would look."""
        other = Filler(self._prefix, self._rest, self._narrowest)
        other._begun = self._begun
        other._row, other._space = list(self._row), list(self._space)
        other._word = list(self._word)
        return other

    def put(self, spans: Row, width: int) -> None:
        """Take in more; a newline in a text begins a new row."""
        for style, text in spans:
            for part in _WORDS.findall(text):
                if part == "\n":
                    self._set(width)
                    self._end_row()
                elif part.isspace():
                    self._set(width)
                    self._space.append((style, part.replace("\t", "    ")))
                else:
                    self._put_word(style, part, width)

    def take(self) -> list[Row]:
        """The rows that became full since the last call."""
        rows, self._rows = self._rows, []
        return rows

    def finish(self, width: int) -> list[Row]:
        """All that is left; of nothing at all an empty row."""
        self._set(width)
        if self._row or not self._begun:
            self._end_row()
        return self.take()

    def _put_word(self, style: str, text: str, width: int) -> None:
        """Wide glyphs are words of their own; the others stay with what they touch."""
        for part, wide in _runs(text):
            if not wide:
                self._word.append((style, part))
                if cells(self._word) > width:
                    self._set(width)
                continue
            for glyph in part:
                self._set(width)
                self._word.append((style, glyph))
                self._set(width)

    def _set(self, width: int) -> None:
        """The word is whole: put it on this row or the next."""
        if not self._word:
            return
        word, self._word = self._word, []
        if self._row and cells(self._space) + cells(word) > self._room(width):
            self._end_row()
        self._row += self._space
        self._space = []
        for style, text in word:
            self._pour(style, text, width)

    def _pour(self, style: str, text: str, width: int) -> None:
        """Put text on this row, and on as many more as it takes."""
        while text:
            if self._row and get_cwidth(text[0]) > self._room(width):
                self._end_row()
            head, text = cut(text, self._room(width))
            self._row.append((style, head))

    def _room(self, width: int) -> int:
        """Cells that are free on this row."""
        room = max(self._narrowest, width - cells(self._prefix))
        return room - cells(self._row)

    def _end_row(self) -> None:
        self._rows.append([*self._prefix, *self._row])
        self._prefix, self._row, self._space = self._rest, [], []
        self._begun = True


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """The text in runs of wide and of other glyphs."""
    if text.isascii():
        yield text, False
        return
    start = 0
    for index in range(1, len(text) + 1):
        wide = _breakable(text[start])
        if index == len(text) or _breakable(text[index]) != wide:
            yield text[start:index], wide
            start = index


def _breakable(character: str) -> bool:
    """Whether a row may end beside it: ideographs and kana, but no emoji and no closing mark."""
    return "\u3040" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3"
