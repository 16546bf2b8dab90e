"""A text's embedding, as llama.cpp's server makes it: what it is asked, and what it says.

A model made for embeddings makes one of its tokens' states as it was trained to; of any other it is
the state behind the text's last token.
"""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from mesh.worker.engines.base import EngineError
from mesh.worker.engines.embedding import Embedding, packed

MARKS = 2
"""Tokens that the library may set around a text."""


class _Vector(Struct, frozen=True):
    embedding: list[float]


class _Usage(Struct, frozen=True):
    prompt_tokens: int = 0


class _Error(Struct, frozen=True):
    message: str = "it said something unknown"


class _Said(Struct, frozen=True):
    data: tuple[_Vector, ...] = ()
    usage: _Usage = _Usage()
    error: _Error = _Error()


def embedding_of(embed: Callable[[dict[str, str]], object], text: str) -> Embedding:
    """Block a thread until it is made. embed: the library's call. Raises EngineError."""
    try:
        said = msgspec.convert(embed({"input": text}), _Said)
    except (RuntimeError, msgspec.ValidationError) as error:
        raise EngineError(f"llama.cpp made no embedding: {error}.") from error
    if len(said.data) != 1:
        raise EngineError(f"llama.cpp made no embedding: {said.error.message}.")
    return Embedding(packed(said.data[0].embedding), said.usage.prompt_tokens)
