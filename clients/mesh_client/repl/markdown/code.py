"""Colours for code, line by line as it comes. Which colour a style has is the REPL's theme."""

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType
from pygments.util import ClassNotFound

from mesh_client.repl.markdown.rows import Row

CONTEXT = 100
"""Lines before a new one that are looked at again to know what it is part of."""

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
    """One block of code. language: as the block names it; unknown or "": no colours."""

    def __init__(self, language: str) -> None:
        self._lexer = _lexer(language)
        self._context: list[str] = []

    def lines(self, lines: list[str]) -> list[Row]:
        """The next lines of the block, coloured."""
        rows = self.look_at(lines)
        self._context = [*self._context, *lines][-CONTEXT:]
        return rows

    def look_at(self, lines: list[str]) -> list[Row]:
        """The same, but the lines are not the block's yet."""
        if self._lexer is None or not lines:
            return [[("", line)] for line in lines]
        rows: list[Row] = [[]]
        for kind, text in self._lexer.get_tokens("\n".join([*self._context, *lines])):
            style = _style(kind)
            for number, part in enumerate(text.split("\n")):
                if number:
                    rows.append([])
                if part:
                    rows[-1].append((style, part))
        return rows[len(self._context) : len(self._context) + len(lines)]


def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False) if language else None
    except ClassNotFound:
        return None


def _style(kind: _TokenType) -> str:
    while kind not in _STYLES:
        if kind.parent is None:
            return ""
        kind = kind.parent
    return _STYLES[kind]
