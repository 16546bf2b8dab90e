"""Reads the body of `POST /v1/chat/completions` into what the mesh is asked for. Pure."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from mesh.gateway.body import decode_body
from mesh.gateway.openai import parameters, tools_body
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
from mesh.gateway.openai.tools_body import Format, ResponseFormat, ToolBodies, ToolChoice
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.messages import Message, ToolCall


class ContentPart(Struct):
    """A part of a message. Only parts of the type `text` can be read."""

    type: str
    text: str | None = None


class CalledFunction(Struct):
    name: str
    arguments: str


class CalledTool(Struct):
    """A call that the assistant made, as it was answered here."""

    id: str
    function: CalledFunction
    type: Literal["function"] = "function"


class ChatMessage(Struct):
    """A turn of the conversation. What models cannot be shown is refused; a `name` is not shown."""

    role: str
    content: str | list[ContentPart] | None = None
    tool_calls: list[CalledTool] | None = None
    tool_call_id: str | None = None
    function_call: object = None
    audio: object = None


class ChatCompletionBody(SamplingBody, kw_only=True):
    """What `POST /v1/chat/completions` takes; `null` is the same as leaving a field out."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    tools: ToolBodies | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None


def read(data: bytes) -> Asked:
    """Raises MeshError (bad_request, unsupported, empty_prompt), naming the parameter at fault."""
    parameters.check(data, parameters.CHAT)
    body = decode_body(data, ChatCompletionBody)
    include_usage = includes_usage(body)
    messages = tuple(_message(f"messages[{at}]", said) for at, said in enumerate(body.messages))
    if not any(message.content.strip() for message in messages):
        raise MeshError(ErrorCode.EMPTY_PROMPT, param="messages")
    asked_for = _format(body)
    return check_count(
        Asked(
            model=body.model,
            prompts=(messages,),
            n=body.n or 1,
            sampling=sampling(body, _logprobs(body)),
            max_tokens=_max_tokens(body),
            stream=bool(body.stream),
            include_usage=include_usage,
            tools=asked_for.tools,
            grammar=asked_for.grammar,
        )
    )


def _format(body: ChatCompletionBody) -> Format:
    parallel = body.parallel_tool_calls is not False
    found = tools_body.read(body.tools or [], body.tool_choice, parallel, body.response_format)
    if found.grammar is not None and body.ignore_eos:
        raise bad("ignore_eos", "What has a format has an end; leave ignore_eos out.")
    if found.tools and body.logprobs:
        raise unsupported("logprobs", "The probabilities of calls are not told; leave them out.")
    return found


def _message(where: str, said: ChatMessage) -> Message:
    for name in ("function_call", "audio"):
        if getattr(said, name):
            raise unsupported(f"{where}.{name}", f"Messages with {name} cannot be read here.")
    if said.role == "assistant":
        calls = tuple(_call(f"{where}.tool_calls[{at}]", c) for at, c in enumerate(_calls(said)))
        content = "" if calls and said.content is None else _text(f"{where}.content", said.content)
        return Message(role="assistant", content=content, tool_calls=calls)
    content = _text(f"{where}.content", said.content)
    match said.role:
        case "system" | "developer":
            return Message(role="system", content=content)
        case "user":
            return Message(role="user", content=content)
        case "tool":
            if not said.tool_call_id:
                raise bad(f"{where}.tool_call_id", "Say which call this is the outcome of.")
            return Message(role="tool", content=content, tool_call_id=said.tool_call_id)
        case other:
            raise unsupported(
                f"{where}.role",
                f"The role {other!r} is not supported here: use system, developer, user, "
                "assistant or tool.",
            )


def _calls(said: ChatMessage) -> list[CalledTool]:
    return said.tool_calls or []


def _call(where: str, called: CalledTool) -> ToolCall:
    try:
        arguments = msgspec.json.decode(called.function.arguments or "{}")
    except msgspec.DecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        raise bad(f"{where}.function.arguments", "Arguments are the text of a JSON object.")
    function = called.function
    return ToolCall(id=called.id, name=function.name, arguments=function.arguments or "{}")


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
