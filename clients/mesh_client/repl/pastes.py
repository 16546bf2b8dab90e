"""Pasted texts that are too long for an input line: a label stands for them until they are sent."""

import re

LONG = 2_000
"""Characters from which on a pasted text is shown as a label."""

LINES = 40
"""Lines from which on it is, however short they are."""

_LABEL = re.compile(r"\[pasted text (\d+): [\d,]+ (?:characters|lines)\]")


class Pastes:
    """Keeps them for as long as the sitting lasts."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def shown(self, text: str) -> str:
        """The pasted text itself, or the label that stands for it."""
        lines = text.count("\n") + 1
        if len(text) < LONG and lines < LINES:
            return text
        if text not in self._texts:
            self._texts.append(text)
        number = self._texts.index(text) + 1
        size = f"{lines:,} lines" if lines >= LINES else f"{len(text):,} characters"
        return f"[pasted text {number}: {size}]"

    def expanded(self, line: str) -> str:
        """The line with every text in the place of its label."""
        return _LABEL.sub(self._text, line)

    def _text(self, label: re.Match[str]) -> str:
        at = int(label[1]) - 1
        return self._texts[at] if at < len(self._texts) else label[0]
