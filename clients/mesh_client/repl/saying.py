"""What the REPL prints between two input lines: notes, errors, tables, what was said before."""

import shutil
from collections.abc import Sequence

from prompt_toolkit import print_formatted_text
from prompt_toolkit.formatted_text import FormattedText, StyleAndTextTuples
from prompt_toolkit.utils import get_cwidth

from mesh_client.errors import MeshClientError, Refused
from mesh_client.objects import Message
from mesh_client.repl.markdown import MarkdownPrinter
from mesh_client.repl.markdown.rows import Filler, Row, cells
from mesh_client.repl.theme import STYLE
from mesh_client.terminal import printable

QUOTED = 12
"""Lines of a question that are shown again; it was read when it was written."""


def width() -> int:
    """Cells of the terminal's row."""
    return shutil.get_terminal_size().columns


def rows(rows: list[Row]) -> None:
    """Print styled rows."""
    for row in rows:
        _print([*row])


def note(text: str) -> None:
    """Say something by the way."""
    _wrapped([], [("class:note", printable(text))])


def error(text: str) -> None:
    """Say what went wrong."""
    _wrapped([("class:error", "✗ ")], [("", printable(text))])


def _wrapped(mark: Row, text: Row) -> None:
    filler = Filler(mark, [("", " " * cells(mark))])
    filler.put(text, width())
    rows(filler.finish(width()))


def blank() -> None:
    """Leave a row empty."""
    _print([])


def sentence_of(error: MeshClientError) -> str:
    """What went wrong, and when to try again, or what to do instead."""
    if not isinstance(error, Refused) or not error.retry_after:
        return error.sentence
    instead = ", or choose another with /model" if error.code == "no_worker" else ""
    return f"{error.sentence} Wait about {error.retry_after:.0f} s{instead}."


def question(text: str) -> None:
    """Show a question as it looked when it was typed, or its beginning."""
    lines = printable(text).split("\n")
    if len(lines) > QUOTED:
        lines = [*lines[:QUOTED], f"… {len(lines) - QUOTED:,} more lines"]
    _print([("class:prompt", "› "), ("class:question", "\n  ".join(lines))])


def message(message: Message) -> None:
    """Show a message of a chat that goes on."""
    text = (message.content or "").rstrip("\n")
    if message.role == "prompter":
        question(text)
        return
    answer(text)
    if message.state != "complete":
        note(message.error or "■ stopped here")


def answer(text: str) -> None:
    """Show a whole answer."""
    printer = MarkdownPrinter()
    printer.feed(text)
    rows(printer.finish(width()))


def table(lines: Sequence[tuple[str, ...]], *styles: str) -> None:
    """Print lines of columns; the first column is indented, the last one is not padded."""
    widths = [max(map(get_cwidth, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        row: Row = [("", "  ")]
        for number, cell in enumerate(line):
            room = 0 if number == len(line) - 1 else widths[number] + 2 - get_cwidth(cell)
            row.append((styles[number] if number < len(styles) else "", cell + " " * room))
        _print([*row])


def _print(text: StyleAndTextTuples) -> None:
    print_formatted_text(FormattedText(text), style=STYLE)
