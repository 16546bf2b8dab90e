"""Keeps an answer to a grammar: before a token is chosen, those that may not follow are left out.

ExLlamaV2 has no way of its own that is whole. Asking of each token of a large vocabulary whether it
may follow would take longer than the model: so the likeliest are asked, in their order, and all of
them only where none of those fits. What is left depends on the logits and the answer so far alone.
"""

import re
from codecs import getincrementaldecoder
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from tokenizers import Tokenizer
from torch import Tensor

from mesh.protocol.grammar import Grammar
from mesh.worker.engines.base import EngineError
from mesh.worker.grammar import Matcher

LIKELIEST = 256
"""Tokens asked before all of them are."""
ENOUGH = 64
"""Tokens found that are enough to choose from."""
FAR = 20.0
"""Logits below the likeliest that fits at which nothing is looked for any more."""

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SHOWN = [*range(33, 127), *range(161, 173), *range(174, 256)]
_HIDDEN = [byte for byte in range(256) if byte not in _SHOWN]
_LETTERS = {chr(byte): byte for byte in _SHOWN} | {
    chr(256 + at): byte for at, byte in enumerate(_HIDDEN)
}
"""The letters that byte-level tokenizers write for bytes."""


_SIZES = ((0xF0, 4, 0x10000), (0xE0, 3, 0x800), (0, 2, 0x80))
"""From which first byte on a character of UTF-8 has how many bytes, and the least of them."""


class Vocabulary:
    """The bytes of each token, as they stand behind others; none for special tokens."""

    def __init__(self, tokenizer: Tokenizer, special: Collection[int], size: int) -> None:
        self._tokenizer = tokenizer
        self._special = special
        self._before = tokenizer.encode("a", add_special_tokens=False).ids
        self._said = self._decode([])
        self.size = size
        self.bytes = lru_cache(maxsize=None)(self._bytes)

    def _bytes(self, token: int) -> bytes:
        if token in self._special:
            return b""
        text = self._decode([token])
        if text.startswith(self._said) and "\ufffd" not in text:
            return text[len(self._said) :].encode()
        name = self._tokenizer.id_to_token(token) or ""
        if found := _BYTE.fullmatch(name):
            return bytes([int(found[1], 16)])
        return bytes(_LETTERS[letter] for letter in name if letter in _LETTERS)

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode([*self._before, *ids], skip_special_tokens=False)
        return text


class _State(NamedTuple):
    """Whole characters are in the matcher, the bytes of a begun one beside it."""

    matcher: Matcher
    begun: bytes = b""

    def after(self, more: bytes) -> "_State | None":
        """None where these bytes may not follow."""
        decoder = getincrementaldecoder("utf-8")()
        try:
            matcher = self.matcher.after(decoder.decode(self.begun + more))
        except UnicodeDecodeError:
            return None
        begun, _ = decoder.getstate()
        return _State(matcher, begun) if matcher and _may_go_on(matcher, begun) else None


class Held:
    """One answer, as it is chosen token by token."""

    def __init__(
        self, grammar: Grammar, vocabulary: Vocabulary, end_ids: Collection[int], delivered: bytes
    ) -> None:
        """delivered: what there is already of it. Raises EngineError if that does not fit."""
        self._vocabulary = vocabulary
        self._end_ids = end_ids
        state = _State(Matcher(grammar)).after(delivered)
        if state is None:
            raise EngineError("What was answered so far does not fit the format asked for.")
        self._state = state

    def restrict(self, logits: Tensor) -> bool:
        """Leave only tokens that may follow; logits: (1, 1, vocabulary), changed in place.

        False, and nothing is changed, where there is none.
        """
        row = logits.view(-1)
        likeliest = row[: self._vocabulary.size].topk(min(LIKELIEST, self._vocabulary.size))
        pairs = zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True)
        kept = self._fitting(pairs) or [*self._ending(), *self._all()]
        if not kept:
            return False
        values = row[kept].clone()
        row.fill_(float("-inf"))
        row[kept] = values
        return True

    def take(self, token: int) -> None:
        """A token was chosen."""
        if token not in self._end_ids:
            self._state = self._state.after(self._vocabulary.bytes(token)) or self._state

    def _fitting(self, pairs: Iterable[tuple[int, float]]) -> list[int]:
        kept: list[int] = []
        best = float("inf")
        for token, logit in pairs:
            if len(kept) == ENOUGH or (kept and logit < best - FAR):
                break
            if self._fits(token):
                best = logit if not kept else best
                kept.append(token)
        return kept

    def _fits(self, token: int) -> bool:
        if token in self._end_ids:
            return token in self._ending()
        data = self._vocabulary.bytes(token)
        return bool(data) and self._state.after(data) is not None

    def _ending(self) -> list[int]:
        over = self._state.matcher.done and not self._state.begun
        return list(self._end_ids) if over else []

    def _all(self) -> Iterator[int]:
        single = (bytes([byte]) for byte in range(256))
        first = {byte for byte in single if self._state.after(byte) is not None}
        for token in range(self._vocabulary.size):
            if self._vocabulary.bytes(token)[:1] in first and self._fits(token):
                yield token


def _may_go_on(matcher: Matcher, begun: bytes) -> bool:
    """Whether a character whose first bytes these are may follow."""
    if not begun:
        return True
    size, least = next(bounds for lead, *bounds in _SIZES if begun[0] >= lead)
    low, high = (_code_point(begun.ljust(size, filler)) for filler in (b"\x80", b"\xbf"))
    return matcher.may(max(low, least), high)


def _code_point(data: bytes) -> int:
    """What the bytes of a character say, also where no character is that."""
    value = data[0] & (0x7F >> len(data))
    for byte in data[1:]:
        value = value << 6 | byte & 0x3F
    return value
