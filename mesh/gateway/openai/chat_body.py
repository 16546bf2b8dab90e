"""Reads the body of `POST /v1/chat/completions` into what the mesh is asked for. Pure."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from mesh.gateway.body import decode_body
from mesh.gateway.openai import kinds, parameters, tools_body
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
from mesh.protocol.request import Message, ToolCall

_ANSWERS = (
    "refusal",
    "annotations",
    "reasoning_content",
    "reasoning",
    "provider_specific_fields",
    "parsed",
)
"""What only an assistant's message may have."""

_NO_TEXT = ("image_url", "input_audio", "file", "refusal")
"""What parts of other types have."""


class ContentPart(Struct, forbid_unknown_fields=True):
    """A part of a message. Only parts of the type `text` can be read."""

    type: str
    text: str | None = None
    prompt_cache_breakpoint: parameters.CacheBreakpoint | None = None
    image_url: object = None
    input_audio: object = None
    file: object = None
    refusal: object = None


class CalledFunction(Struct, forbid_unknown_fields=True):
    """parsed_arguments: what a client has made of the arguments, which are read themselves."""

    name: str
    arguments: str
    parsed_arguments: object = None


class CalledTool(Struct, forbid_unknown_fields=True):
    """A call that the assistant made, as it was answered here; index: as in a stream of it."""

    id: str
    function: CalledFunction
    type: Literal["function"] = "function"
    index: int | None = None


class ChatMessage(Struct, forbid_unknown_fields=True):
    """A turn of the conversation. What models cannot be shown is refused.

    Of an assistant's message that is sent back as it came some things are known and not shown to
    the model: its name, its thoughts, what clients note in it for themselves, as what their
    helpers have parsed. A refusal is what it said, where it said nothing else.
    """

    role: str
    content: str | list[ContentPart] | None = None
    tool_calls: list[CalledTool] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    refusal: str | None = None
    annotations: list[object] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    provider_specific_fields: dict[str, object] | None = None
    parsed: object = None
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
    try:
        body = decode_body(data, ChatCompletionBody)
    except MeshError as error:
        raise kinds.instead(data, error, kinds.TOOLS) from error.__cause__
    include_usage = includes_usage(body)
    messages = tuple(_message(f"messages[{at}]", said) for at, said in enumerate(body.messages))
    _check_outcomes(messages)
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
    if body.parallel_tool_calls is not None and body.tools is None:
        raise bad("parallel_tool_calls", "There are no tools to be called; leave it out.")
    found = tools_body.read(body.tools or [], body.tool_choice, parallel, body.response_format)
    if found.grammar is not None and body.ignore_eos:
        raise bad("ignore_eos", "What has a format has an end; leave ignore_eos out.")
    if found.tools and body.logprobs:
        raise unsupported("logprobs", "The probabilities of calls are not told; leave them out.")
    return found


def _check_outcomes(messages: tuple[Message, ...]) -> None:
    """Raise MeshError (bad_request) for the outcome of a call that nobody has made before."""
    called = set[str]()
    for at, message in enumerate(messages):
        called.update(call.id for call in message.tool_calls)
        if message.role == "tool" and message.tool_call_id not in called:
            detail = (
                f"There is no call {message.tool_call_id!r} before this message; send the "
                "assistant's message that made it, too."
            )
            raise bad(f"messages[{at}].tool_call_id", detail)


def _message(where: str, said: ChatMessage) -> Message:
    for name in ("function_call", "audio"):
        if getattr(said, name) is not None:
            raise unsupported(f"{where}.{name}", f"Messages with {name} cannot be read here.")
    if said.tool_call_id and said.role != "tool":
        raise bad(f"{where}.tool_call_id", "Only a tool's message has one; leave it out.")
    if said.role == "assistant":
        return _answer(where, said)
    if said.tool_calls:
        raise bad(f"{where}.tool_calls", "Only an assistant's message has calls; leave them out.")
    for name in _ANSWERS:
        if getattr(said, name):
            raise bad(f"{where}.{name}", f"Only an assistant's message has {name}; leave it out.")
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


def _answer(where: str, said: ChatMessage) -> Message:
    """What the assistant said, or refused to, and what it called."""
    calls = tuple(_call(called) for called in said.tool_calls or ())
    content = said.refusal if said.content is None else said.content
    text = "" if calls and content is None else _text(f"{where}.content", content)
    return Message(role="assistant", content=text, tool_calls=calls)


def _call(called: CalledTool) -> ToolCall:
    """A call as the model wrote it: of one that was cut off the arguments are no JSON, and it is
    shown to the model as it stands."""
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
    for name in _NO_TEXT:
        if getattr(part, name) is not None:
            raise bad(f"{where}.{name}", f"A part of type 'text' has no {name}; leave it out.")
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
