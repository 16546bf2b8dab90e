"""Markdown as rows: what it looks like, and that each row comes once however the text came."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from mesh_client.repl.markdown import MarkdownPrinter
from mesh_client.repl.markdown.code import Highlighter
from mesh_client.repl.markdown.rows import Row, last
from mesh_client.terminal import printable

DOCUMENT = """\
# A heading
Some *slanted* text with **bold words** and `code`, 漢字漢字漢字漢字漢字漢字漢字漢字漢字 and on.
A [link](http://x.y/z) and <http://x.y>; 2 * 3 * 4, snake_case_name, an unclosed **mark
- one that is long enough to go over the edge of the row and hang under itself
  - two `x`
1. first

   Still first.

> A quote that is long enough to go over the edge of the row
> and goes on.

| Name | Size |
|:-----|-----:|
| a | 10 |
| **b** | 2000 |

```python
def f(x: int) -> str:
    return "a line that is much longer than the row is wide, which is kept as it is"
```
After it.
---
- [ ] open
- [x] done
👍 مرحبا"""

WIDTH = 40


def texts(rows: list[Row]) -> list[str]:
    return ["".join(text for _, text in row) for row in rows]


def printed(pieces: list[str], width: int = WIDTH, *, looking: bool = True) -> list[str]:
    """All rows, taken after each piece."""
    printer, rows = MarkdownPrinter(), []
    for piece in pieces:
        printer.feed(piece)
        if looking:
            rows += printer.take(width)
            printer.tail(width)
    return texts(rows + printer.finish(width))


def styles(markdown: str) -> dict[str, str]:
    """The style of each word."""
    printer = MarkdownPrinter()
    printer.feed(markdown)
    spans = [span for row in printer.finish(80) for span in row]
    return {word: style for style, text in spans for word in text.split()}


def test_a_document_looks_like_this() -> None:
    assert printed([DOCUMENT]) == [
        "A heading",
        "Some slanted text with bold words and",
        "code, 漢字漢字漢字漢字漢字漢字漢字漢字漢",
        "字 and on.",
        "A link (http://x.y/z) and http://x.y; 2",
        "* 3 * 4, snake_case_name, an unclosed",
        "**mark",
        "• one that is long enough to go over the",
        "  edge of the row and hang under itself",
        "  ◦ two x",
        "1. first",
        "",
        "   Still first.",
        "",
        "▎ A quote that is long enough to go over",
        "▎ the edge of the row",
        "▎ and goes on.",
        "",
        "Name │ Size",
        "─────┼─────",
        "a    │   10",
        "b    │ 2000",
        "",
        "── python ──────────────────────────────",
        "def f(x: int) -> str:",
        '    return "a line that is much longer than the row is wide, which is kept as it is"',
        "────────────────────────────────────────",
        "",
        "After it.",
        "",
        "────────────────────────────────────────",
        "",
        "☐ open",
        "☑ done",
        "  👍 مرحبا",
    ]


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1), st.integers(10, 90))
def test_however_the_text_comes_each_row_comes_once(sizes: list[int], width: int) -> None:
    pieces, at = [], 0
    while at < len(DOCUMENT):
        for size in sizes:
            pieces.append(DOCUMENT[at : at + size])
            at += size
    assert printed(pieces, width) == printed([DOCUMENT], width)


MARKS = st.text(st.sampled_from("ab漢 \n*_`~[](){}|>#-1.\\<&!"), max_size=60)


@settings(deadline=None)
@given(MARKS, st.integers(1, 9), st.integers(8, 30))
def test_any_text_can_be_printed_in_any_pieces(text: str, size: int, width: int) -> None:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert printed(pieces, width) == printed([text], width)


@settings(deadline=None)
@given(st.text(st.sampled_from("ab漢👍 \n"), max_size=200), st.integers(10, 30))
def test_plain_text_loses_no_glyph_and_fits_its_rows(text: str, width: int) -> None:
    rows = printed([text], width)
    assert "".join("".join(rows).split()) == "".join(text.split())
    assert all(sum(map(get_cwidth, row)) <= width for row in rows)


@settings(deadline=None)
@given(st.lists(st.integers(12, 80), min_size=2, max_size=6))
def test_a_resize_in_the_middle_loses_and_doubles_nothing(widths: list[int]) -> None:
    words = [f"word{n}." for n in range(200)]
    printer, rows = MarkdownPrinter(), []
    for number, word in enumerate(words):
        printer.feed(f"{word} ")
        rows += printer.take(widths[number % len(widths)])
    rows += printer.finish(widths[0])
    assert " ".join(texts(rows)).split() == words


def test_what_is_not_done_is_short_however_long_the_paragraph() -> None:
    printer = MarkdownPrinter()
    for number in range(2000):
        printer.feed(f"word{number} **unclosed " if number == 1000 else f"word{number} ")
        printer.take(80)
        assert len(printer.tail(80)) < 20


@pytest.mark.parametrize("before", ["", "```\n", "- "], ids=["text", "code", "item"])
def test_a_word_without_end_is_printed_as_it_comes(before: str) -> None:
    printer, rows = MarkdownPrinter(), []
    printer.feed(before)
    for _ in range(2000):
        printer.feed("0123456789" * 5)
        rows += printer.take(80)
        tail = printer.tail(80)
        assert before == "```\n" or len(tail) < 40
    rows += printer.finish(80)
    assert "".join(texts(rows)).replace(" ", "").count("0123456789") == 10_000


def test_the_end_of_a_row_is_what_fits() -> None:
    row = [("a", "one "), ("b", "漢字 two")]
    assert last(row, 4) == [("b", " two")]
    assert last(row, 7) == [("b", "字 two")]
    assert last(row, 100) == row


def test_a_table_that_is_too_wide_wraps_its_cells() -> None:
    table = "| a | b |\n|---|---|\n| " + "long " * 12 + "| " + "text " * 12 + "|\n"
    rows = printed([table], 40)
    assert all(get_cwidth(row) <= 40 for row in rows) and len(rows) > 4
    assert "".join(rows).count("long") == "".join(rows).count("text") == 12


def test_code_is_coloured_by_its_language_also_when_lines_come_one_by_one() -> None:
    lines = ["```python\n", '"""A text\n', 'over lines"""\n', "return 1  # why\n", "```\n"]
    printer, rows = MarkdownPrinter(), []
    for line in lines:
        printer.feed(line)
        rows += printer.take(80)
    spans = {text: style for row in rows for style, text in row}
    assert spans['over lines"""'] == "class:code.string"
    assert (spans["return"], spans["1"], spans["# why"]) == (
        "class:code.keyword",
        "class:code.number",
        "class:code.comment",
    )
    assert "let x" in printed(["```nosuchlanguage\nlet x\n```"])


CODE = {
    "python": 'x = """a\nif b"""\ndef f():\n    # why\n    return "y"\n' * 40,
    "c": "/* a\n if b */\nint f(int x) { return 1; }\n" * 40,
    "html": "<style>\na { color: red }\n</style>\n<script>\nif (a) { b() }\n</script>\n" * 5,
    "php": 'echo "a";\n$x = 1; // why\n' * 40,
    "nosuchlanguage": "if a\n",
}


@pytest.mark.parametrize("language", CODE)
def test_code_that_comes_line_by_line_has_the_colours_of_the_whole(language: str) -> None:
    text = CODE[language]
    lines = text.splitlines()
    by_line = Highlighter(language)
    coloured = [row for line in lines for row in by_line.lines([line])]
    assert coloured == Highlighter(language).lines(lines)
    assert texts(coloured) == lines


def test_marks_become_styles_and_html_stays_text() -> None:
    found = styles("**a** *b* `c` ~~d~~ [e](http://f) <b>g</b> \\(h\\)")
    assert found == {
        "a": "class:strong",
        "b": "class:em",
        "c": "class:code",
        "d": "class:strike",
        "e": "class:link",
        "(http://f)": "",
        "<b>g</b>": "",
        "\\(h\\)": "",
    }


@pytest.mark.parametrize("opened", ["```python\ncode", "| a | b |\n|---|", "**bold", "- ", "> "])
def test_what_never_closes_is_printed_at_the_end(opened: str) -> None:
    letters = [c for c in opened if c.isalnum()]
    shown = "".join(printed(list(opened)))
    assert [c for c in shown if c.isalnum()] == letters


def test_an_answer_cannot_command_the_terminal() -> None:
    assert printable("a\x1b[2Jb\x07\x9bc\r\n\td") == "a[2Jbc\n\td"
    assert printed(["a\x1b[2Jb\x07\n```\n\x1b]0;x\x07\n```"])[0] == "a[2Jb"
