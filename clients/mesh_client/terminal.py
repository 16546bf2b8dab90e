"""What a terminal may be shown: text that is not ours must not command it."""

import re
import unicodedata

_KEPT = "\n\t"
_TURNS = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What turns the direction of all that stands behind it on the line."""


def printable(text: str) -> str:
    """The text without control characters, line ends and tabs aside.

    A model, or whoever wrote what it quotes, could otherwise move the cursor, rename the window
    or have the terminal type for the user.
    """
    if text.isprintable():
        return text
    return "".join(c for c in text if c in _KEPT or unicodedata.category(c) != "Cc")


def in_one_line(text: str) -> str:
    """The text for a place among others on a line: without line ends, tabs and control characters,
    and without what would turn the direction of its neighbours.
    """
    return _TURNS.sub("", printable(" ".join(text.split())))
