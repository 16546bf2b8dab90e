"""Assistants and tools as objects: what the gateway asks the store about them, and what it hears.

An assistant is a way to answer that somebody keeps: a model, instructions, tools. Its owner may
share it; those it is shared with may use it, and that is all. What belongs to nobody who asks is
answered as if it were not there.
"""

from typing import Literal

from msgspec.structs import replace

from mesh.protocol.chats import Asks, Ok
from mesh.protocol.request import Tool
from mesh.protocol.wire import Wire

# --- objects --------------------------------------------------------------------------------------


class AssistantFields(Wire, frozen=True, kw_only=True):
    """What an assistant is made of. model: "" for the mesh's default; tools: its own, besides those
    it was given; response_format: JSON text of a chat completion's parameter, "" for any text."""

    name: str = ""
    description: str = ""
    model: str = ""
    instructions: str = ""
    tools: tuple[Tool, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    response_format: str = ""
    meta_data: dict[str, str] = {}


class AssistantChanges(Wire, frozen=True, kw_only=True):
    """What is to be otherwise; None leaves it as it is. cleared: what is to be None again."""

    name: str | None = None
    description: str | None = None
    model: str | None = None
    instructions: str | None = None
    tools: tuple[Tool, ...] | None = None
    temperature: float | None = None
    top_p: float | None = None
    response_format: str | None = None
    meta_data: dict[str, str] | None = None
    cleared: tuple[Literal["temperature", "top_p"], ...] = ()

    def of(self, fields: AssistantFields) -> AssistantFields:
        """What an assistant is made of once they are made."""
        told = {name: getattr(self, name) for name in fields.__struct_fields__}
        given = {name: value for name, value in told.items() if value is not None}
        return replace(fields, **given | dict.fromkeys(self.cleared))


class Assistant(Wire, frozen=True, kw_only=True, tag="assistant"):
    """An assistant. users: whom it is shared with, for its owner's eyes; given: ids of the tools
    that it was given."""

    id: str
    owner: str
    created_at: float
    fields: AssistantFields
    users: tuple[str, ...] = ()
    given: tuple[str, ...] = ()


class AssistantPage(Wire, frozen=True, kw_only=True, tag="assistant_page"):
    """Some of the assistants that somebody may use. more: whether others follow."""

    assistants: tuple[Assistant, ...]
    more: bool = False


class KeptTool(Wire, frozen=True, kw_only=True, tag="kept_tool"):
    """A tool's description, kept under its name, of which its owner has one."""

    id: str
    owner: str
    created_at: float
    tool: Tool


class ToolPage(Wire, frozen=True, kw_only=True, tag="tool_page"):
    """Some tools. more: whether others follow."""

    tools: tuple[KeptTool, ...]
    more: bool = False


# --- queries about assistants ---------------------------------------------------------------------


class CreateAssistant(Asks[Assistant], frozen=True, kw_only=True, tag="create_assistant"):
    """id: as in CreateChat. -> Assistant"""

    user_id: str
    fields: AssistantFields
    id: str = ""


class GetAssistant(Asks[Assistant], frozen=True, kw_only=True, tag="get_assistant"):
    """One's own, or one that is shared with oneself. -> Assistant"""

    user_id: str
    assistant_id: str


class ListAssistants(Asks[AssistantPage], frozen=True, kw_only=True, tag="list_assistants"):
    """One's own and those that are shared with oneself, oldest first. -> AssistantPage

    after: the id of the one before the first.
    """

    user_id: str
    limit: int = 20
    after: str | None = None


class UpdateAssistant(Asks[Assistant], frozen=True, kw_only=True, tag="update_assistant"):
    """-> Assistant"""

    user_id: str
    assistant_id: str
    changes: AssistantChanges


class DeleteAssistant(Asks[Ok], frozen=True, kw_only=True, tag="delete_assistant"):
    """-> Ok"""

    user_id: str
    assistant_id: str


class ShareAssistant(Asks[Ok], frozen=True, kw_only=True, tag="share_assistant"):
    """Share one's assistant with somebody, or no longer; who has it may give it up. -> Ok"""

    user_id: str
    assistant_id: str
    shared_with: str
    shared: bool = True


class GiveTool(Asks[Ok], frozen=True, kw_only=True, tag="give_tool"):
    """Give one's assistant one of one's tools, or take it away. -> Ok"""

    user_id: str
    assistant_id: str
    tool_id: str
    given: bool = True


# --- queries about tools --------------------------------------------------------------------------


class CreateTool(Asks[KeptTool], frozen=True, kw_only=True, tag="create_tool"):
    """-> KeptTool"""

    user_id: str
    tool: Tool


class GetTool(Asks[KeptTool], frozen=True, kw_only=True, tag="get_tool"):
    """One's own tool, by its id, or else by its name. -> KeptTool"""

    user_id: str
    tool_id: str = ""
    name: str = ""


class ListTools(Asks[ToolPage], frozen=True, kw_only=True, tag="list_tools"):
    """One's own, oldest first; or those that an assistant one may use was given. -> ToolPage"""

    user_id: str
    assistant_id: str = ""
    limit: int = 20
    after: str | None = None


class UpdateTool(Asks[KeptTool], frozen=True, kw_only=True, tag="update_tool"):
    """-> KeptTool"""

    user_id: str
    tool_id: str
    tool: Tool


class DeleteTool(Asks[Ok], frozen=True, kw_only=True, tag="delete_tool"):
    """Assistants that it was given lose it. -> Ok"""

    user_id: str
    tool_id: str
