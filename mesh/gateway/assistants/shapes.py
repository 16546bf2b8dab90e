"""How assistants and tools look over HTTP. Pure."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from mesh.protocol import assistants as wire
from mesh.protocol.request import Tool


class FunctionShown(Struct):
    """A function, and the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, Any]


class ToolShown(Struct):
    """A tool of an assistant."""

    function: FunctionShown
    type: Literal["function"] = "function"


class ToolObject(Struct):
    """A tool that is kept by itself. created_at: Unix seconds."""

    id: str
    created_at: int
    name: str
    function: FunctionShown
    type: Literal["function"] = "function"
    object: Literal["tool"] = "tool"


class AssistantObject(Struct):
    """An assistant. tools: its own, tool_ids: those it was given besides; user_ids: whom it is
    shared with, which only its owner sees; created_at: Unix seconds."""

    id: str
    created_at: int
    owner_id: str
    user_ids: list[str]
    name: str | None
    description: str | None
    model: str | None
    instructions: str | None
    tools: list[ToolShown]
    tool_ids: list[str]
    temperature: float | None
    top_p: float | None
    response_format: Any
    meta_data: dict[str, str]
    object: Literal["assistant"] = "assistant"


def tool_shown(tool: Tool) -> ToolShown:
    return ToolShown(_function(tool))


def tool_object(kept: wire.KeptTool) -> ToolObject:
    return ToolObject(
        id=kept.id,
        created_at=int(kept.created_at),
        name=kept.tool.name,
        function=_function(kept.tool),
    )


def assistant_object(assistant: wire.Assistant) -> AssistantObject:
    fields = assistant.fields
    text = fields.response_format
    return AssistantObject(
        id=assistant.id,
        created_at=int(assistant.created_at),
        owner_id=assistant.owner,
        user_ids=list(assistant.users),
        name=fields.name or None,
        description=fields.description or None,
        model=fields.model or None,
        instructions=fields.instructions or None,
        tools=[tool_shown(tool) for tool in fields.tools],
        tool_ids=list(assistant.given),
        temperature=fields.temperature,
        top_p=fields.top_p,
        response_format=msgspec.json.decode(text) if text else "auto",
        meta_data=fields.meta_data,
    )


def _function(tool: Tool) -> FunctionShown:
    parameters = msgspec.json.decode(tool.parameters, type=dict[str, Any])
    return FunctionShown(tool.name, tool.description, parameters)
