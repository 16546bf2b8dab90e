"""Bytes to messages and back. Decoders are made once: making one costs more than using it."""

from functools import cache
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_encoder = msgspec.json.Encoder()


def encode(message: msgspec.Struct) -> bytes:
    """A message as JSON bytes, its tag first."""
    return _encoder.encode(message)


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def decode(data: bytes, kind: type[T] | Any) -> T:
    """Read a message of the given Struct or union.

    Raises msgspec.DecodeError (of which ValidationError is a kind) when the bytes are not that.
    """
    message: T = _decoder(kind).decode(data)
    return message
