"""Cuts streamed text into lines that are done, printed once and never again, and a growing tail.

Pure; the terminal is the view's business. Whatever renders blocks (of markdown, say) instead of
lines needs only the same three methods.
"""

from prompt_toolkit.utils import get_cwidth

from mesh_client.terminal import printable


class LinePrinter:
    """Takes text in pieces of any size; each character leaves it exactly once."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self.tail = ""

    def feed(self, text: str) -> None:
        """Take the next piece; control characters are left out."""
        *lines, self.tail = (self.tail + printable(text)).split("\n")
        self._done += lines

    def take(self) -> str:
        """The lines that became complete since the last call, each with its line end."""
        lines, self._done = self._done, []
        return "".join(f"{line}\n" for line in lines)

    def finish(self) -> str:
        """All that is left; an open last line is ended."""
        text = self.take()
        if self.tail:
            text += f"{self.tail}\n"
            self.tail = ""
        return text


def last_rows(text: str, columns: int, rows: int) -> str:
    """The end of a line that is wrapped at `columns` cells, as much as fills `rows` rows.

    It starts where a row starts, so that rows do not shift while the line grows.
    """
    starts = [0]
    used = 0
    for index, character in enumerate(text):
        width = get_cwidth(character)
        if used + width > columns:
            starts.append(index)
            used = 0
        used += width
    return text[starts[max(0, len(starts) - rows)] :]
