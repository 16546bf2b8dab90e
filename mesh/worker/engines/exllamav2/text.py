"""Makes text of token ids, piece by piece, and only whole characters of it. Pure.

A token's text depends on its neighbours: a character may take several tokens, and many tokenizers
say the space before a word only where there is something before it. So new tokens are decoded
behind a few old ones, whose text is then taken off.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from tokenizers import Tokenizer

BROKEN = "\ufffd"
"""What decoders write for bytes that are no character, or not one yet."""
CONTEXT = 8
"""Old tokens looked at for a beginning."""
PATIENCE = 8
"""Tokens after which bytes that are still no character are said to be broken ones."""


class Said(NamedTuple):
    """Text that is certain, and its tokens."""

    text: str
    ids: tuple[int, ...]


class Detokenizer:
    """Feed it ids in their order; `before`: those that come before them, of the prompt at least.

    If `before` ends in the middle of a character, that one is said when the rest of it comes,
    unless `said`, the answer's text so far, shows that it was given up as broken.
    """

    def __init__(
        self, tokenizer: Tokenizer, special: Collection[int], before: Sequence[int], said: str = ""
    ) -> None:
        self._tokenizer = tokenizer
        self._special = special
        self._shown, self._begun = self._split(list(before[-CONTEXT:]))
        if said.endswith(BROKEN):
            self._shown, self._begun = self._shown + self._begun, []
        self._shown_text = self._decode(self._shown)
        self._new: list[int] = []

    def feed(self, token: int) -> Said | None:
        """What became certain with this token, if anything did."""
        self._new.append(token)
        if token in self._special:
            return self._say(self._text().rstrip(BROKEN))
        text = self._text()
        if text.endswith(BROKEN) and len(self._begun) + len(self._new) < PATIENCE:
            return None
        return self._say(text)

    def finish(self) -> Said:
        """What is left, with the text of its whole characters: half a character is left out."""
        return self._say(self._text().rstrip(BROKEN) if self._new else "")

    def name(self, token: int) -> str:
        """A token's text where nothing is around it, also a special one's."""
        return self._decode([token])

    def _say(self, text: str) -> Said:
        said = Said(text, tuple(self._new))
        self._shown = self._spoken() or self._shown
        self._shown_text = self._decode(self._shown)
        self._begun, self._new = [], []
        return said

    def _spoken(self) -> list[int]:
        return [*self._begun, *(token for token in self._new if token not in self._special)]

    def _text(self) -> str:
        return self._decode(self._shown + self._spoken())[len(self._shown_text) :]

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False)
        return text

    def _split(self, ids: list[int]) -> tuple[list[int], list[int]]:
        """Old ids that begin and end with whole characters, and those of a begun one behind."""
        start = next((at for at in range(len(ids)) if not self._decode(ids[at:])[:1] == BROKEN), 0)
        for end in range(len(ids), max(start, len(ids) - 4), -1):
            if not self._decode(ids[start:end]).endswith(BROKEN):
                return ids[start:end], ids[end:]
        return ids[start:], []
