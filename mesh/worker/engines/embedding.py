"""What a worker wants of an engine that makes embeddings, too. Not every engine can."""

import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from math import hypot
from typing import Protocol, runtime_checkable

from msgspec import Struct

COUNTED = 64
"""Dimensions of the vectors that count."""


class Embedding(Struct, frozen=True):
    """vector: of length 1, as little-endian 32-bit floats; tokens: those of its text."""

    vector: bytes
    tokens: int


@runtime_checkable
class Embedder(Protocol):
    """An engine whose abilities name `embed`."""

    async def embed(self, text: str) -> Embedding:
        """Raises MeshError (context_overflow) for a text that does not fit; EngineError."""
        ...


def packed(numbers: Iterable[float]) -> bytes:
    """A vector of any length but 0 made one of length 1, as it travels."""
    found = list(numbers)
    length = hypot(*found) or 1.0
    floats = array("f", [number / length for number in found])
    if sys.byteorder == "big":
        floats.byteswap()
    return floats.tobytes()


def counted(tokens: Sequence[int]) -> Embedding:
    """Of an engine without a model: how many tokens fall to each dimension."""
    counts = Counter(token % COUNTED for token in tokens)
    return Embedding(packed(counts[at] for at in range(COUNTED)), len(tokens))
