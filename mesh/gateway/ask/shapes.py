"""What `POST /v1/ask` answers, whole and in chunks: its own shapes, and no key more. Data only."""

from typing import Literal

from msgspec import Struct


class Said(Struct):
    role: Literal["assistant"]
    content: str


class Choice(Struct):
    message: Said
    finish_reason: Literal["stop", "length"]
    index: int


class Usage(Struct):
    """Tokens, as the engine counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Answer(Struct):
    """A whole answer. created: Unix seconds."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    usage: Usage
    choices: list[Choice]


class Delta(Struct, omit_defaults=True):
    """The role first, then pieces of content, nothing at the end."""

    role: Literal["", "assistant"] = ""
    content: str = ""


class ChunkChoice(Struct):
    """finish_reason: null up to the last chunk."""

    delta: Delta
    index: int
    finish_reason: Literal["stop", "length"] | None


class Chunk(Struct):
    """An event of a streamed answer, which ends with `[DONE]`."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]


class ClientInfo(Struct):
    """A client's tokens: those used so far, and those it may use; 0: as many as it likes."""

    client_id: str
    quota_used: int
    max_quota: int
