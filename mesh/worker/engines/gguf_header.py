"""Reads what a GGUF file says of itself: name, context, chat template, tokens. Loads no weights.

The layout is that of the GGUF specification, versions 2 and 3: magic, version, two counts, then
key-value pairs, everything little-endian.
"""

import struct
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from mesh.protocol.errors import ErrorCode, MeshError

Value = int | float | bool | str | list[str] | None

_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_POOLED = (1, 2, 3)
"""Pooling types: mean, first, last. 0 is none, 4 is for ranking."""
_CHUNKS, _CHUNK = 64, 1 << 16


class GgufHeader(Struct, frozen=True, kw_only=True):
    """context_length is what the model was trained for, 0 where the file does not say; embeds:
    whether it was made for embeddings, and knows how to make one of its tokens' states;
    vocabulary: how many tokens it has, 0 where the file does not list them."""

    context_length: int
    chat_template: str | None
    bos_token: str
    eos_token: str
    add_bos: bool
    fingerprint: str
    embeds: bool = False
    vocabulary: int = 0


def read_header(path: Path) -> GgufHeader:
    """Raises MeshError (bad_request) when the file cannot be read or is not GGUF."""
    try:
        with path.open("rb") as file:
            pairs = _pairs(file)
            fingerprint = _fingerprint(file)
    except OSError as error:
        raise MeshError(
            ErrorCode.BAD_REQUEST, f"The model file {path} cannot be read: {error.strerror}."
        ) from error
    except (struct.error, ValueError, MemoryError) as error:
        raise MeshError(
            ErrorCode.BAD_REQUEST, f"{path} is not a GGUF file, or only a part of one: {error}."
        ) from error
    kind = pairs.get("general.architecture")
    tokens = pairs.get("tokenizer.ggml.tokens")
    return GgufHeader(
        context_length=_number(pairs.get(f"{kind}.context_length")),
        chat_template=_text(pairs.get("tokenizer.chat_template")),
        bos_token=_token(pairs, "bos"),
        eos_token=_token(pairs, "eos"),
        add_bos=pairs.get("tokenizer.ggml.add_bos_token") is True,
        fingerprint=fingerprint,
        embeds=pairs.get(f"{kind}.pooling_type") in _POOLED,
        vocabulary=len(tokens) if isinstance(tokens, list) else 0,
    )


def _pairs(file: BinaryIO) -> dict[str, Value]:
    """All key-value pairs; arrays of anything but strings are None."""
    if file.read(4) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    version, _, count = _unpack(file, "IQQ")
    if version not in (2, 3):
        raise ValueError(f"its version is {version}, not 2 or 3")
    return {_string(file): _value(file, _unpack(file, "I")[0]) for _ in range(count)}


def _value(file: BinaryIO, kind: int) -> Value:
    if kind == _STRING:
        return _string(file)
    if kind != _ARRAY:
        value: Value = _unpack(file, _SCALARS[kind])[0]
        return value
    kind, length = _unpack(file, "IQ")
    if kind == _STRING:
        return [_string(file) for _ in range(length)]
    file.seek(length * struct.calcsize("<" + _SCALARS[kind]), 1)
    return None


def _string(file: BinaryIO) -> str:
    (length,) = _unpack(file, "Q")
    return file.read(length).decode("utf-8", "replace")


def _unpack(file: BinaryIO, form: str) -> tuple[int, ...]:
    size = struct.calcsize("<" + form)
    return struct.unpack("<" + form, file.read(size))


def _fingerprint(file: BinaryIO) -> str:
    """SHA-256 of the pairs just read, the size, and 64 pieces of 64 KiB spread over the file.

    That is: of the tokenizer, and enough of the weights to tell two trainings apart, without
    reading tens of gigabytes at every start.
    """
    end = file.tell()
    size = file.seek(0, 2)
    digest = sha256(size.to_bytes(8, "little"))
    file.seek(0)
    digest.update(file.read(end))
    for number in range(_CHUNKS):
        file.seek(max(end, end + (size - end - _CHUNK) * number // (_CHUNKS - 1)))
        digest.update(file.read(_CHUNK))
    return digest.hexdigest()


def _token(pairs: dict[str, Value], name: str) -> str:
    """The text of the token that `tokenizer.ggml.<name>_token_id` names, or ""."""
    at, tokens = pairs.get(f"tokenizer.ggml.{name}_token_id"), pairs.get("tokenizer.ggml.tokens")
    if isinstance(at, int) and isinstance(tokens, list) and at < len(tokens):
        return tokens[at]
    return ""


def _number(value: Value) -> int:
    return value if isinstance(value, int) else 0


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) else None
