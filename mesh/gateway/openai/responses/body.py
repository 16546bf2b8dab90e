"""Reads the body of `POST /v1/responses` into what the mesh is asked for. Pure."""

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from mesh.gateway.body import decode_body
from mesh.gateway.openai import kinds, parameters, tools_body
from mesh.gateway.openai.asked import Asked, Count, Share, bad, unsupported
from mesh.gateway.openai.responses.shapes import Note
from mesh.gateway.openai.tools_body import FunctionBody, JsonSchema, NamedFunction, NamedTool
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Message, Sampling, ToolCall

_KINDS = kinds.TOOLS | {
    "input": ("message", "function_call", "function_call_output", "reasoning"),
}

_FIELDS = {
    "message": ("role", "content", "name", "phase"),
    "function_call": ("call_id", "name", "arguments", "parsed_arguments"),
    "function_call_output": ("call_id", "name", "output"),
    "reasoning": ("summary", "content", "encrypted_content"),
}
"""What items of each type may have besides their id and status."""

_TEXTS = ("input_text", "output_text", "text")

_NO_TEXT = (
    "image_url",
    "detail",
    "file_id",
    "file_data",
    "file_url",
    "filename",
    "input_audio",
    "refusal",
)
"""What parts of other types have."""


class Part(Struct, forbid_unknown_fields=True):
    """A part of a message. Only texts can be read; what an answer of here has besides is known,
    and what a client has parsed of it."""

    type: str
    text: str | None = None
    annotations: list[object] | None = None
    logprobs: list[object] | None = None
    parsed: object = None
    prompt_cache_breakpoint: parameters.CacheBreakpoint | None = None
    image_url: object = None
    detail: object = None
    file_id: object = None
    file_data: object = None
    file_url: object = None
    filename: object = None
    input_audio: object = None
    refusal: object = None


class InputItem(Struct, forbid_unknown_fields=True):
    """A turn: a message, a call that the model made, or what came of one; thoughts are left out.

    Of an item that is sent back as it came its id and its status say nothing new, nor does what a
    client has parsed of it.
    """

    type: str = "message"
    role: str | None = None
    content: str | list[Part] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    parsed_arguments: object = None
    output: str | list[Part] | None = None
    id: str | None = None
    status: str | None = None
    phase: str | None = None
    summary: list[object] | None = None
    encrypted_content: str | None = None
    caller: None = None
    namespace: None = None


class FlatTool(Struct, forbid_unknown_fields=True):
    """A function, spelled as this route has it."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    defer_loading: bool | None = None
    allowed_callers: None = None
    output_schema: None = None


class FlatChoice(Struct, forbid_unknown_fields=True):
    """The one function that has to be called."""

    type: Literal["function"]
    name: str


class FlatFormat(Struct, forbid_unknown_fields=True):
    """Text, any JSON object, or the JSON of a schema."""

    type: str
    name: str | None = None
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class TextOptions(Struct, forbid_unknown_fields=True):
    format: FlatFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ResponsesBody(Struct, kw_only=True):
    """What `POST /v1/responses` takes; `null` is the same as leaving a field out."""

    input: str | Annotated[list[InputItem], Meta(min_length=1)]
    model: str | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    stream: bool | None = None
    background: bool | None = None
    store: bool | None = None
    max_output_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    tools: Annotated[list[FlatTool], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | FlatChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    metadata: parameters.MetaData | None = None


_FLAT_TOOL = re.compile(r"^(tools\[\d+\])\.function\b")
_FLAT_FORMAT = re.compile(r"^response_format(\.json_schema)?\b")
"""What stands deeper in a chat completion than here."""


def read(data: bytes) -> tuple[ResponsesBody, Asked, Note]:
    """Raises MeshError (bad_request, unsupported, empty_prompt), naming the parameter at fault."""
    parameters.check(data, parameters.RESPONSES)
    try:
        body = decode_body(data, ResponsesBody)
    except MeshError as error:
        raise kinds.instead(data, error, _KINDS) from error.__cause__
    if body.text is not None and body.text.verbosity not in (None, "medium"):
        raise unsupported("text.verbosity", "Only medium is known here; ask for it in a message.")
    if body.background and body.store is False:
        raise bad("background", "What runs in the background has to be stored.")
    messages, developers = _messages(body.input)
    if body.instructions:
        messages = (Message(role="system", content=body.instructions), *messages)
        developers = [at + 1 for at in developers]
    if not any(message.content.strip() for message in messages):
        raise MeshError(ErrorCode.EMPTY_PROMPT, param="input")
    parallel = body.parallel_tool_calls is not False
    with tools_body.named(_spelt):
        format = tools_body.read(_tools(body), _choice(body.tool_choice), parallel, _format(body))
    asked = Asked(
        model=body.model,
        prompts=(messages,),
        sampling=Sampling(temperature=body.temperature, top_p=body.top_p),
        max_tokens=body.max_output_tokens,
        stream=bool(body.stream),
        include_usage=True,
        tools=format.tools,
        grammar=format.grammar,
    )
    return body, asked, _note(body, parallel, developers)


def _note(body: ResponsesBody, parallel: bool, developers: list[int]) -> Note:
    text: Any = {"format": {"type": "text"}}
    if body.text is not None and body.text.format is not None:
        shown = msgspec.to_builtins(body.text.format)
        text = {"format": {name: value for name, value in shown.items() if value is not None}}
    return Note(
        instructions=body.instructions,
        previous_response_id=body.previous_response_id,
        metadata=body.metadata or {},
        tools=[_shown(tool) for tool in body.tools or []],
        tool_choice=msgspec.to_builtins(body.tool_choice or "auto"),
        parallel_tool_calls=parallel,
        text=text,
        background=bool(body.background),
        store=body.store is not False,
        developers=developers,
    )


def _shown(tool: FlatTool) -> dict[str, Any]:
    return {"parameters": None, "strict": True} | {
        name: value for name, value in msgspec.to_builtins(tool).items() if value is not None
    }


def _tools(body: ResponsesBody) -> list[tools_body.ToolBody]:
    for at, tool in enumerate(body.tools or []):
        if tool.defer_loading:
            raise unsupported(f"tools[{at}].defer_loading", "Tools are not searched for here.")
    return [
        tools_body.ToolBody(
            tool.type,
            FunctionBody(tool.name or "", tool.description, tool.parameters, tool.strict),
        )
        for tool in body.tools or []
    ]


def _choice(choice: str | FlatChoice | None) -> tools_body.ToolChoice | None:
    match choice:
        case FlatChoice(name=name):
            return NamedTool("function", NamedFunction(name))
        case "none" | "required" as word:
            return word
    return None


def _format(body: ResponsesBody) -> tools_body.ResponseFormat | None:
    if body.text is None or body.text.format is None:
        return None
    format = body.text.format
    if format.type in tools_body.SIMPLE:
        for name in ("schema", "name", "description", "strict"):
            if getattr(format, name) is not None:
                detail = f"A format of the type {format.type} has no {name}; use json_schema."
                raise bad(f"text.format.{name}", detail)
    said = JsonSchema(format.name, schema=format.schema, strict=format.strict)
    return tools_body.ResponseFormat(format.type, None if format.schema is None else said)


def _spelt(param: str) -> str:
    """What a parameter of a chat completion is called here."""
    if param == "response_format.json_schema":
        return "text.format.schema"
    param = _FLAT_TOOL.sub(r"\1", param)
    return _FLAT_FORMAT.sub("text.format", param)


def _messages(given: str | list[InputItem]) -> tuple[tuple[Message, ...], list[int]]:
    """The messages, and which of them are a developer's."""
    if isinstance(given, str):
        return (Message(role="user", content=given),), []
    found: list[Message] = []
    developers = []
    for at, item in enumerate(given):
        message = _message(f"input[{at}]", item)
        if message is None:
            continue
        if message.tool_calls and found and found[-1].tool_calls:
            calls = found[-1].tool_calls + message.tool_calls
            message = Message(role="assistant", content=found.pop().content, tool_calls=calls)
        if item.role == "developer":
            developers.append(len(found))
        found.append(message)
    return tuple(found), developers


def _message(where: str, item: InputItem) -> Message | None:
    _check_fields(where, item)
    match item.type:
        case "message":
            return _said(where, item)
        case "function_call":
            call = ToolCall(
                id=_given(where, "call_id", item.call_id),
                name=_given(where, "name", item.name),
                arguments=item.arguments or "{}",  # no JSON, if the call was cut off
            )
            return Message(role="assistant", content="", tool_calls=(call,))
        case "function_call_output":
            content = _text(f"{where}.output", item.output)
            called = _given(where, "call_id", item.call_id)
            return Message(role="tool", content=content, tool_call_id=called)
        case "reasoning":
            return None
    raise unsupported(f"{where}.type", f"Items of type {item.type!r} cannot be read here.")


def _check_fields(where: str, item: InputItem) -> None:
    """Raise MeshError (bad_request) for a field that only items of another type have."""
    own = _FIELDS.get(item.type)
    for name in sorted(set().union(*_FIELDS.values())) if own is not None else ():
        if name not in (own or ()) and getattr(item, name):
            detail = f"An item of the type {item.type} has no {name}; leave it out."
            raise bad(f"{where}.{name}", detail)


def _said(where: str, item: InputItem) -> Message:
    content = _text(f"{where}.content", item.content)
    match item.role:
        case "system" | "developer":
            return Message(role="system", content=content)
        case "user" | "assistant" as role:
            return Message(role=role, content=content)
    raise unsupported(f"{where}.role", "Use the role system, developer, user or assistant.")


def _text(where: str, content: str | list[Part] | None) -> str:
    if content is None:
        raise bad(where, "Give a string, or a list of text parts.")
    if isinstance(content, str):
        return content
    return "".join(_part(f"{where}[{at}]", part) for at, part in enumerate(content))


def _part(where: str, part: Part) -> str:
    if part.type not in _TEXTS or part.text is None:
        raise unsupported(f"{where}.type", "Models here read text only.")
    for name in _NO_TEXT:
        if getattr(part, name) is not None:
            raise bad(f"{where}.{name}", f"A part that is a text has no {name}; leave it out.")
    if part.parsed is not None and part.type != "output_text":
        raise bad(f"{where}.parsed", "Only what was answered has been parsed; leave it out.")
    return part.text


def _given(where: str, name: str, value: str | None) -> str:
    if not value:
        raise bad(f"{where}.{name}", f"An item of this type needs its {name}.")
    return value
