"""Reads the body of `POST /v1/chat/completions` into what the mesh is asked for. Pure."""

from typing import Annotated

from msgspec import Meta, Struct

from mesh.gateway.body import decode_body
from mesh.gateway.openai import parameters
from mesh.gateway.openai.asked import (
    Asked,
    Count,
    SamplingBody,
    bad,
    check_count,
    includes_usage,
    sampling,
    unsupported,
)
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.messages import Message


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


class ChatCompletionBody(SamplingBody, kw_only=True):
    """What `POST /v1/chat/completions` takes; `null` is the same as leaving a field out."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None


def read(data: bytes) -> Asked:
    """Raises MeshError (bad_request, unsupported, empty_prompt), naming the parameter at fault."""
    parameters.check(data, parameters.CHAT)
    body = decode_body(data, ChatCompletionBody)
    include_usage = includes_usage(body)
    messages = tuple(_message(f"messages[{at}]", said) for at, said in enumerate(body.messages))
    if not any(message.content.strip() for message in messages):
        raise MeshError(ErrorCode.EMPTY_PROMPT, param="messages")
    return check_count(
        Asked(
            model=body.model,
            prompts=(messages,),
            n=body.n or 1,
            sampling=sampling(body, _logprobs(body)),
            max_tokens=_max_tokens(body),
            stream=bool(body.stream),
            include_usage=include_usage,
        )
    )


def _message(where: str, said: ChatMessage) -> Message:
    for name in ("tool_calls", "function_call", "audio"):
        if getattr(said, name):
            raise unsupported(f"{where}.{name}", f"Messages with {name} cannot be read here.")
    content = _text(f"{where}.content", said.content)
    match said.role:
        case "system" | "developer":
            return Message(role="system", content=content)
        case "user":
            return Message(role="user", content=content)
        case "assistant":
            return Message(role="assistant", content=content)
        case other:
            raise unsupported(
                f"{where}.role",
                f"The role {other!r} is not supported here: use system, developer, user or "
                "assistant.",
            )


def _text(where: str, content: str | list[ContentPart] | None) -> str:
    if content is None:
        raise bad(where, "A message needs content: a string, or a list of text parts.")
    if isinstance(content, str):
        return content
    return "".join(_part(f"{where}[{at}]", part) for at, part in enumerate(content))


def _part(where: str, part: ContentPart) -> str:
    if part.type != "text":
        raise unsupported(
            f"{where}.type", f"Models here read text only, not parts of type {part.type!r}."
        )
    if part.text is None:
        raise bad(f"{where}.text", "A text part needs its text.")
    return part.text


def _logprobs(body: ChatCompletionBody) -> int | None:
    if body.logprobs:
        return body.top_logprobs or 0
    if body.top_logprobs:
        raise bad("top_logprobs", "top_logprobs needs logprobs to be true.")
    return None


def _max_tokens(body: ChatCompletionBody) -> int | None:
    old, new = body.max_tokens, body.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise bad(
            "max_tokens", "max_tokens and max_completion_tokens contradict each other; give one."
        )
    return old if new is None else new
