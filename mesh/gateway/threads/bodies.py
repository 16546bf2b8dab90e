"""Reads the bodies of the routes of threads. Pure."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from mesh.gateway.assistants.bodies import Instructions, MetaData
from mesh.gateway.body import decode_body
from mesh.gateway.openai import kinds
from mesh.gateway.openai.asked import Asked, Count, SamplingBody, bad
from mesh.gateway.openai.chat_body import ChatCompletionBody, ChatMessage
from mesh.gateway.openai.tools_body import ResponseFormat, ToolBodies, ToolChoice
from mesh.gateway.runs import body as runs
from mesh.gateway.threads.shapes import formatted, tool_asked
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.grammar import Grammar
from mesh.protocol.request import Message
from mesh.protocol.threads import INSTRUCTS, NewMessage, Role, ThreadPlan

Participants = Annotated[list[str], Meta(max_length=100)]


class MessageBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """What somebody writes. assistant_id: in whose name an assistant's message is; tool_call_id:
    what a tool's message is the outcome of."""

    content: Annotated[str, Meta(min_length=1)]
    role: Role = "user"
    assistant_id: str | None = None
    tool_call_id: str | None = None
    meta_data: MetaData | None = None
    metadata: MetaData | None = None

    def message(self) -> NewMessage:
        return NewMessage(
            role=self.role,
            content=self.content,
            assistant_id=self.assistant_id or "",
            tool_call_id=self.tool_call_id or "",
            meta_data=_meta(self.meta_data, self.metadata) or {},
        )


class PostedMessageBody(MessageBody, kw_only=True, forbid_unknown_fields=True):
    """The same for `POST /v1/messages`, and in which thread. sender_id: oneself, or the assistant
    in whose name it is; tool_id: another word for tool_call_id; is_last_chunk: false for a piece of
    a message, which only `POST /v1/messages/assistant` minds."""

    thread_id: str
    sender_id: str | None = None
    tool_id: str | None = None
    is_last_chunk: bool | None = None

    def message(self) -> NewMessage:
        """Raises MeshError (bad_request) for two calls at once."""
        said = super().message()
        if self.tool_id in (None, "", said.tool_call_id):
            return said
        if said.tool_call_id:
            raise bad("tool_id", "tool_id and tool_call_id name two calls; leave one of them out.")
        return msgspec.structs.replace(said, tool_call_id=self.tool_id)

    def sent_by(self, user_id: str) -> None:
        """Raises MeshError (forbidden) if it is said to be somebody else's."""
        if self.sender_id not in (None, "", user_id, self.assistant_id or ""):
            detail = (
                "One writes in one's own name, or in that of an assistant: make sender_id your own "
                "id (GET /auth/check) or the assistant_id, or leave it out."
            )
            raise MeshError(ErrorCode.FORBIDDEN, detail, param="sender_id")


class ThreadBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """A thread. participant_ids: who takes part besides oneself; messages: what it begins with."""

    participant_ids: Participants = []
    messages: Annotated[list[MessageBody], Meta(max_length=100)] = []
    meta_data: MetaData | None = None
    metadata: MetaData | None = None

    @property
    def notes(self) -> dict[str, str]:
        return _meta(self.meta_data, self.metadata) or {}


class ThreadChangeBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be otherwise with a thread; null leaves it as it is."""

    participant_ids: Participants | None = None
    meta_data: MetaData | None = None
    metadata: MetaData | None = None

    @property
    def notes(self) -> dict[str, str] | None:
        return _meta(self.meta_data, self.metadata)


class ThreadRunBody(SamplingBody, kw_only=True):
    """A run on a thread: what an assistant says next. All but `assistant_id` may be left out, and
    takes the place of what the assistant has; instructions may be added to instead. thread_id: that
    of the path, or for `POST /v1/runs`."""

    assistant_id: str
    thread_id: str | None = None
    instructions: Instructions | None = None
    additional_instructions: Instructions | None = None
    additional_messages: Annotated[list[MessageBody], Meta(max_length=100)] | None = None
    max_completion_tokens: Count | None = None
    tools: ToolBodies | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: Literal["auto"] | ResponseFormat | None = None


class PostedRunBody(ChatCompletionBody, kw_only=True):
    """What `POST /v1/runs` takes: a conversation in `messages`, as a chat completion; or with
    `thread_id` what `POST /v1/threads/{thread_id}/runs` takes, also as a whole run that is filled
    in (`FilledIn`)."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1)] | None = None  # type: ignore[assignment]
    thread_id: str | None = None
    assistant_id: str | None = None
    instructions: Instructions | None = None
    additional_instructions: Instructions | None = None
    additional_messages: Annotated[list[MessageBody], Meta(max_length=100)] | None = None
    response_format: Literal["auto"] | ResponseFormat | None = None  # type: ignore[assignment]


OWN = (
    "assistant_id",
    "thread_id",
    "instructions",
    "additional_instructions",
    "additional_messages",
    "stream",
)
"""What a chat completion has not, or means otherwise."""


def decode_run(data: bytes) -> ThreadRunBody:
    """What is asked of a thread. Raises MeshError (bad_request, unsupported), naming the parameter
    at fault."""
    try:
        return decode_body(data, ThreadRunBody)
    except MeshError as error:
        raise kinds.instead(data, error, kinds.TOOLS) from error.__cause__


def read_run(data: bytes, body: ThreadRunBody, plan: ThreadPlan) -> tuple[Asked, Grammar | None]:
    """What is asked for: a chat completion with the conversation, by the assistant's own ways where
    the body says nothing else; and what later answers have to be a text of.

    Raises MeshError (bad_request, unsupported, empty_prompt), naming the parameter at fault.
    """
    given = decode_body(data, dict[str, Raw])
    said = {name: raw for name, raw in given.items() if name not in OWN and bytes(raw) != b"null"}
    if "messages" in said:
        detail = "A run on a thread is asked what stands there; use additional_messages to add."
        raise bad("messages", detail)
    asked = _asked(body, plan)
    if not any(message.content.strip() for message in asked if message.role != "system"):
        detail = "Nothing was said in this thread yet; write something to be answered."
        raise MeshError(ErrorCode.EMPTY_PROMPT, detail)
    if body.response_format == "auto":
        del said["response_format"]
    whole = _usual(body, plan) | said
    whole["messages"] = [formatted(message) for message in asked]
    return runs.read(msgspec.json.encode(whole))


def _usual(body: ThreadRunBody, plan: ThreadPlan) -> dict[str, Any]:
    """The assistant's ways."""
    fields = plan.assistant.fields if plan.assistant is not None else None
    found = schemas(plan)
    if body.response_format is not None:
        found.pop("response_format", None)
    if fields is None:
        return found
    found |= {"temperature": fields.temperature, "top_p": fields.top_p}
    if fields.model:
        found["model"] = fields.model
    return found


def schemas(plan: ThreadPlan) -> dict[str, Any]:
    """What the assistant may call, and of which form its answers are, as a body has them."""
    found: dict[str, Any] = {"tools": [tool_asked(tool) for tool in plan.tools]}
    fields = plan.assistant.fields if plan.assistant is not None else None
    if fields is not None and fields.response_format:
        found["response_format"] = Raw(fields.response_format.encode())
    return found


def instructed(plan: ThreadPlan, instructions: str, *more: str) -> list[Message]:
    """A conversation behind one system message with all instructions."""
    said = list(plan.messages)
    told = [instructions, *more]
    if said and said[0].role == "system":
        told.append(said.pop(0).content)
    system = "\n\n".join(filter(None, told))
    return [Message(role="system", content=system), *said] if system else said


def own_instructions(plan: ThreadPlan) -> str:
    """Those of the assistant."""
    return plan.assistant.fields.instructions if plan.assistant is not None else ""


def _asked(body: ThreadRunBody, plan: ThreadPlan) -> list[Message]:
    """The conversation, with what the body adds to it."""
    more = [each.message() for each in body.additional_messages or []]
    own = own_instructions(plan) if body.instructions is None else body.instructions
    told = [each.content for each in more if each.role in INSTRUCTS]
    said = instructed(plan, own, body.additional_instructions or "", *told)
    return said + [_turn(each) for each in more if each.role not in INSTRUCTS]


def _turn(said: NewMessage) -> Message:
    """What is added as a turn. An outcome is said by who wrote it: no call waits for it, for those
    that had none are not shown again."""
    return Message(role="assistant" if said.role == "assistant" else "user", content=said.content)


def _meta(one: dict[str, str] | None, other: dict[str, str] | None) -> dict[str, str] | None:
    """meta_data, by either spelling."""
    return other if one is None else one
