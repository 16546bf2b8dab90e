"""Reads what assistants and tools are to be. Pure."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from mesh.gateway.openai import tools_body
from mesh.gateway.openai.asked import Share, bad, unsupported
from mesh.gateway.openai.tools_body import FunctionBody, ResponseFormat, ToolBodies, ToolBody
from mesh.protocol.assistants import AssistantChanges
from mesh.protocol.request import Tool

Name = Annotated[str, Meta(max_length=256)]
Description = Annotated[str, Meta(max_length=512)]
Instructions = Annotated[str, Meta(max_length=256_000)]
MetaKey = Annotated[str, Meta(min_length=1, max_length=64)]
MetaValue = Annotated[str, Meta(max_length=512)]
MetaData = Annotated[dict[MetaKey, MetaValue], Meta(max_length=16)]

_OWN: tuple[Literal["temperature", "top_p"], ...] = ("temperature", "top_p")
"""What a model has of its own where nobody says otherwise."""


class AssistantBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """An assistant, or what is to be otherwise with one; null leaves a thing as it is, but for
    temperature and top_p, which are the model's own again.

    model: null for the mesh's default; tools: functions; meta_data: up to 16 texts; id: as null
    only, for it is given to an assistant here.
    """

    id: None = None
    name: Name | None = None
    description: Description | None = None
    model: Name | None = None
    instructions: Instructions | None = None
    tools: ToolBodies | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None | UnsetType = UNSET
    top_p: Share | None | UnsetType = UNSET
    response_format: Literal["auto"] | ResponseFormat | None = None
    meta_data: MetaData | None = None
    metadata: MetaData | None = None
    vector_stores: list[object] | None = None
    tool_resources: dict[str, object] | None = None

    def changes(self) -> AssistantChanges:
        """Raises MeshError (bad_request, unsupported), naming the parameter at fault."""
        for name in ("vector_stores", "tool_resources"):
            if getattr(self, name):
                raise unsupported(name, "Files and vector stores are not kept here; leave it out.")
        wanted = None if self.response_format == "auto" else self.response_format
        found = tools_body.read(self.tools or [], None, True, wanted)
        return AssistantChanges(
            name=self.name,
            description=self.description,
            model=self.model,
            instructions=self.instructions,
            tools=None if self.tools is None else found.tools,
            temperature=None if self.temperature is UNSET else self.temperature,
            top_p=None if self.top_p is UNSET else self.top_p,
            response_format=self._format(),
            meta_data=self.metadata if self.meta_data is None else self.meta_data,
            cleared=tuple(name for name in _OWN if getattr(self, name) is None),
        )

    def _format(self) -> str | None:
        """As JSON text, "" for any text, None for no change."""
        if self.response_format in (None, "auto"):
            return None if self.response_format is None else ""
        return msgspec.json.encode(self.response_format).decode()


class ToolKeptBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """A tool to keep. name: that of its function, where it is said; else null."""

    function: FunctionBody
    name: str | None = None
    type: str = "function"

    def tool(self) -> Tool:
        """Raises MeshError (bad_request, unsupported), naming the parameter at fault."""
        if self.name not in (None, self.function.name):
            raise bad("name", "A tool's name is that of its function; leave it out.")
        with tools_body.named(lambda param: param.removeprefix("tools[0].")):
            (tool,) = tools_body.read([ToolBody(self.type, self.function)], None, True, None).tools
        return tool
