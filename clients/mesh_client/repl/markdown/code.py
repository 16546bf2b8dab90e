"""Colours for code, line by line as it comes. Which colour a style has is the REPL's theme."""

from pygments.lexer import DelegatingLexer, Lexer
from pygments.lexers import HtmlLexer, get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number, Operator, String, Text, _TokenType
from pygments.util import ClassNotFound

from mesh_client.repl.markdown.rows import Row

CONTEXT = 40
"""Lines before a new one that are looked at again where a language is embedded in another."""

LONGEST = 200
"""Lines of a text or a comment that goes over lines, of which its beginning is remembered."""

LONG_LINE = 500
"""Characters of a line that is coloured while it grows."""

_STYLES: dict[_TokenType, str] = {
    Comment: "class:code.comment",
    Keyword: "class:code.keyword",
    Keyword.Constant: "class:code.number",
    Operator.Word: "class:code.keyword",
    Name.Function: "class:code.name",
    Name.Class: "class:code.name",
    Name.Decorator: "class:code.name",
    Name.Tag: "class:code.keyword",
    Name.Attribute: "class:code.name",
    Name.Builtin: "class:code.builtin",
    String: "class:code.string",
    Number: "class:code.number",
}


class Highlighter:
    """One block of code. language: as the block names it; unknown or "": no colours.

    A new line is looked at together with the text or comment that it may be in the middle of, and
    with nothing else where that is known: what an answer costs does not grow with its length.
    """

    def __init__(self, language: str) -> None:
        self._lexer = _lexer(language)
        self._embeds = isinstance(self._lexer, DelegatingLexer | HtmlLexer)
        self._context: list[str] = []

    def lines(self, lines: list[str]) -> list[Row]:
        """The next lines of the block, coloured."""
        rows, ends = self._look([*self._context, *lines])
        before, seen = len(self._context), [*self._context, *lines]
        if self._embeds:
            self._context = seen[-CONTEXT:]
        else:
            calm = max((n for n, kind in enumerate(ends, 1) if not _goes_on(kind)), default=0)
            self._context = seen[calm:][-LONGEST:]
        return rows[before:]

    def look_at(self, line: str) -> Row:
        """The same of a line that is not whole yet, unless it is long already."""
        if len(line) > LONG_LINE:
            return [("", line)]
        rows, _ = self._look([*self._context, line])
        return rows[-1]

    def _look(self, lines: list[str]) -> tuple[list[Row], list[_TokenType]]:
        """Each line coloured, and what each line's end is part of."""
        if self._lexer is None or not lines:
            return [[("", line)] for line in lines], [Text] * len(lines)
        rows: list[Row] = [[]]
        ends: list[_TokenType] = []
        for kind, text in self._lexer.get_tokens("\n".join(lines)):
            style = _style(kind)
            for number, part in enumerate(text.split("\n")):
                if number:
                    rows.append([])
                    ends.append(kind)
                if part:
                    rows[-1].append((style, part))
        return rows[: len(lines)], ends[: len(lines)]


def _goes_on(kind: _TokenType) -> bool:
    """Whether a line that ends within such a token is not the last one of it."""
    return kind in String or kind in Comment.Multiline


def _lexer(language: str) -> Lexer | None:
    try:
        if not language:
            return None
        return get_lexer_by_name(language, stripnl=False, startinline=True)
    except ClassNotFound:
        return None


def _style(kind: _TokenType) -> str:
    while kind not in _STYLES:
        if kind.parent is None:
            return ""
        kind = kind.parent
    return _STYLES[kind]
