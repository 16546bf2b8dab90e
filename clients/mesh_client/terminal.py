"""What a terminal may be shown: text that is not ours must not command it."""

import unicodedata

_KEPT = "\n\t"


def printable(text: str) -> str:
    """The text without control characters, line ends and tabs aside.

    A model, or whoever wrote what it quotes, could otherwise move the cursor, rename the window
    or have the terminal type for the user.
    """
    if text.isprintable():
        return text
    return "".join(c for c in text if c in _KEPT or unicodedata.category(c) != "Cc")
