"""Reads the body of `POST /v1/chat/completions` into what the mesh is asked for. Pure."""

from hashlib import sha256
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from mesh.gateway.body import decode_body
from mesh.gateway.openai import parameters
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.messages import Message, Sampling

Share = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Bias = Annotated[float, Meta(ge=-100, le=100)]
Count = Annotated[int, Meta(ge=1, le=1 << 31)]
StopString = Annotated[str, Meta(min_length=1, max_length=1000)]
StopStrings = Annotated[list[StopString], Meta(max_length=4)]


class StreamOptions(Struct, forbid_unknown_fields=True):
    """What a stream tells besides the answer."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ContentPart(Struct):
    """A part of a message. Only parts of the type `text` can be read."""

    type: str
    text: str | None = None


class ChatMessage(Struct):
    """A turn of the conversation. What models cannot be shown is refused; a `name` is not shown."""

    role: str
    content: str | list[ContentPart] | None = None
    tool_calls: object = None
    function_call: object = None
    audio: object = None


class ChatCompletionBody(Struct, kw_only=True):
    """What `POST /v1/chat/completions` takes; `null` is the same as leaving a field out."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    top_k: Annotated[int, Meta(ge=0, le=1 << 31)] | None = None
    min_p: Share | None = None
    typical_p: Share | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    seed: Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)] | None = None
    stop: StopString | StopStrings | None = None
    ignore_eos: bool | None = None
    min_tokens: Annotated[int, Meta(ge=0, le=1 << 31)] | None = None
    logit_bias: dict[int, Bias] | None = None
    banned_strings: Annotated[list[StopString], Meta(max_length=64)] | None = None
    dry_multiplier: Annotated[float, Meta(ge=0, le=100)] | None = None
    dry_base: Annotated[float, Meta(ge=1, le=100)] | None = None
    dry_allowed_length: Count | None = None
    xtc_probability: Share | None = None
    xtc_threshold: Share | None = None


class Asked(Struct, frozen=True, kw_only=True):
    """One completion. model: None for the default; max_tokens: None for what the context leaves."""

    model: str | None
    messages: tuple[Message, ...]
    sampling: Sampling
    max_tokens: int | None
    stream: bool
    include_usage: bool

    def digest(self) -> str:
        """What has to be the same under one idempotency key: all but how the answer is read."""
        same = ("chat.completions", self.model, self.messages, self.sampling, self.max_tokens)
        return sha256(msgspec.json.encode(same)).hexdigest()


def read(data: bytes) -> Asked:
    """Raises MeshError (bad_request, unsupported, empty_prompt), naming the parameter at fault."""
    parameters.check(data)
    body = decode_body(data, ChatCompletionBody)
    options = body.stream_options
    if options is not None and not body.stream:
        raise _bad("stream_options", "stream_options is for streams; set stream, or leave it out.")
    messages = tuple(_message(f"messages[{at}]", said) for at, said in enumerate(body.messages))
    if not any(message.content.strip() for message in messages):
        raise MeshError(ErrorCode.EMPTY_PROMPT, param="messages")
    return Asked(
        model=body.model,
        messages=messages,
        sampling=_sampling(body),
        max_tokens=_max_tokens(body),
        stream=bool(body.stream),
        include_usage=options is not None and bool(options.include_usage),
    )


def _message(where: str, said: ChatMessage) -> Message:
    for name in ("tool_calls", "function_call", "audio"):
        if getattr(said, name):
            raise _unsupported(f"{where}.{name}", f"Messages with {name} cannot be read here.")
    content = _text(f"{where}.content", said.content)
    match said.role:
        case "system" | "developer":
            return Message(role="system", content=content)
        case "user":
            return Message(role="user", content=content)
        case "assistant":
            return Message(role="assistant", content=content)
        case other:
            raise _unsupported(
                f"{where}.role",
                f"The role {other!r} is not supported here: use system, developer, user or "
                "assistant.",
            )


def _text(where: str, content: str | list[ContentPart] | None) -> str:
    if content is None:
        raise _bad(where, "A message needs content: a string, or a list of text parts.")
    if isinstance(content, str):
        return content
    return "".join(_part(f"{where}[{at}]", part) for at, part in enumerate(content))


def _part(where: str, part: ContentPart) -> str:
    if part.type != "text":
        raise _unsupported(
            f"{where}.type", f"Models here read text only, not parts of type {part.type!r}."
        )
    if part.text is None:
        raise _bad(f"{where}.text", "A text part needs its text.")
    return part.text


def _sampling(body: ChatCompletionBody) -> Sampling:
    stop = [body.stop] if isinstance(body.stop, str) else body.stop or []
    return Sampling(
        temperature=body.temperature,
        top_k=body.top_k,
        top_p=body.top_p,
        min_p=body.min_p,
        typical_p=body.typical_p,
        repetition_penalty=body.repetition_penalty,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        seed=body.seed,
        stop=tuple(stop),
        ignore_eos=bool(body.ignore_eos),
        min_tokens=body.min_tokens or 0,
        logit_bias=body.logit_bias or {},
        banned_strings=tuple(body.banned_strings or ()),
        dry_multiplier=body.dry_multiplier,
        dry_base=body.dry_base,
        dry_allowed_length=body.dry_allowed_length,
        xtc_probability=body.xtc_probability,
        xtc_threshold=body.xtc_threshold,
    )


def _max_tokens(body: ChatCompletionBody) -> int | None:
    old, new = body.max_tokens, body.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise _bad(
            "max_tokens", "max_tokens and max_completion_tokens contradict each other; give one."
        )
    return old if new is None else new


def _bad(param: str, detail: str) -> MeshError:
    return MeshError(ErrorCode.BAD_REQUEST, detail, param=param)


def _unsupported(param: str, detail: str) -> MeshError:
    return MeshError(ErrorCode.UNSUPPORTED, detail, param=param)
