"""Markdown within a line: emphasis, code, links; and up to where growing text may be parsed.

The parsing is markdown-it's. `Settler` finds the places behind which nothing can change any more
what stands before them, so that it can be printed before the paragraph has ended.
"""

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

from mesh_client.repl.markdown.rows import Row

PATIENCE = 1000
"""Characters after which a mark that never closes is taken for text."""

LONG_WORD = 2000
"""Characters after which a word is not waited for any longer."""

_markdown = MarkdownIt("commonmark", {"html": False}).enable("strikethrough")
_SPECIAL = re.compile(r"[*_`~\[\]!\\<&]")
_MATH = re.compile(r"\\(?=[()\[\]])")
_STYLES = {"strong": "class:strong", "em": "class:em", "s": "class:strike"}


def parse(text: str, style: str = "") -> Row:
    """Text with inline Markdown as spans; raw HTML stays text, and so do LaTeX's brackets."""
    if not _SPECIAL.search(text):
        return [(style, text)]
    body = text.strip()
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    if not body:
        return [(style, text)]
    (token,) = _markdown.parseInline(_MATH.sub(r"\\\\", body))
    return [(style, before), *_spans(token.children or [], style), (style, after)]


def _spans(tokens: list[Token], style: str) -> Row:
    row: Row = []
    styles, links = [style], [""]
    for token in tokens:
        name, _, side = token.type.rpartition("_")
        if side == "open":
            styles.append(f"{styles[-1]} {_STYLES.get(name, 'class:link')}".strip())
            links += [str(token.attrs.get("href", ""))] if name == "link" else []
        elif side == "close":
            styles.pop()
            if name == "link":
                row += _target(links.pop(), row, style)
        else:
            row.append(_leaf(token, styles[-1]))
    return row


def _leaf(token: Token, style: str) -> tuple[str, str]:
    match token.type:
        case "code_inline":
            return (f"{style} class:code".strip(), token.content)
        case "softbreak" | "hardbreak":
            return (style, "\n")
        case "image":
            return (f"{style} class:link".strip(), f"[{token.content}] ({token.attrs['src']})")
        case _:
            return (style, token.content)


def _target(href: str, row: Row, style: str) -> Row:
    """Where a link leads, unless its text says so."""
    shown = row[-1][1] if row else ""
    return [] if shown in (href, href.removeprefix("mailto:")) else [(style, f" ({href})")]


class Settler:
    """Cuts growing text behind white space where no mark is open. Each character goes in once.

    Where it cuts depends on the text alone, not on the pieces in which it came.
    """

    def __init__(self) -> None:
        self.rest = ""
        self._at = 0
        self._open: list[str] = []

    def feed(self, text: str) -> list[str]:
        """The parts that are settled now; what is not yet stays in `rest`."""
        self.rest += text
        parts = []
        while (end := self._next_space()) is not None:
            self._scan(self.rest[self._at : end])
            self._at = end
            if not self._open or end > PATIENCE:
                parts.append(self.rest[:end])
                self.rest, self._at, self._open = self.rest[end:], 0, []
        return parts

    def _next_space(self) -> int | None:
        """Behind the next white space that something follows: a run of it is not torn. A word
        that goes on and on is."""
        found = _SPACE.search(self.rest, self._at)
        end = found.end() if found else len(self.rest)
        if end > self._at + LONG_WORD:
            return self._at + LONG_WORD
        return end if found and end < len(self.rest) else None

    def _scan(self, word: str) -> None:
        """Note which marks a word opens and closes."""
        if not _SPECIAL.search(word):
            return
        for found in _MARK.finditer(word):
            self._mark(found.group(), word[: found.start()], word[found.end() :].strip())

    def _mark(self, mark: str, before: str, after: str) -> None:
        if self._open and self._open[-1].startswith("`"):
            if mark == self._open[-1]:
                self._open.pop()
        elif mark.startswith("\\"):
            pass
        elif mark.startswith("`") or mark == "[":
            self._open.append(mark)
        elif mark.startswith("]"):
            self._close("[")
            self._open += ["("] if mark == "](" else []
        elif mark == ")":
            self._close("(")
        elif before and self._close(mark):
            pass
        elif after:
            self._open.append(mark)

    def _close(self, mark: str) -> bool:
        if mark not in self._open:
            return False
        while self._open.pop() != mark:
            pass
        return True


_SPACE = re.compile(r"\s+")
_MARK = re.compile(r"\\.|`+|\*+|_+|~~|\[|\]\(|\]|\)")
