"""How threads and their messages look over HTTP. Pure."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from mesh.gateway.openai.shapes import Called, CalledFunction
from mesh.gateway.runs.shapes import RUN, RunFailure
from mesh.protocol import threads as wire
from mesh.protocol.errors import ErrorCode
from mesh.protocol.request import Message, Tool
from mesh.protocol.threads import MessageStatus, Role
from mesh.protocol.tool_story import Status


class ThreadObject(Struct):
    """A thread. participant_ids: all who take part, its owner first; created_at: Unix seconds."""

    id: str
    created_at: int
    owner_id: str
    participant_ids: list[str]
    meta_data: dict[str, str]
    object: Literal["thread"] = "thread"


class MessageObject(Struct):
    """A message. sender_id: who wrote it, or began the run that did; status `incomplete`: an answer
    that was cut short; tool_call_id: what a tool's is the outcome of; created_at: Unix seconds."""

    id: str
    created_at: int
    thread_id: str
    role: Role
    content: str
    status: MessageStatus
    sender_id: str
    assistant_id: str | None
    run_id: str | None
    tool_calls: list[Called]
    tool_call_id: str | None
    meta_data: dict[str, str]
    object: Literal["thread.message"] = "thread.message"


class MessageDeleted(Struct):
    """What becomes of a message that is deleted."""

    id: str
    object: Literal["thread.message.deleted"] = "thread.message.deleted"
    deleted: Literal[True] = True


class ThreadRunObject(Struct):
    """A run on a thread, in its list. user_id: who began it; times: Unix seconds."""

    id: str
    created_at: int
    expires_at: int
    ended_at: int | None
    status: Status
    model: str
    thread_id: str
    assistant_id: str | None
    user_id: str
    last_error: RunFailure | None
    object: Literal["run"] = "run"


class FormattedMessage(Struct, omit_defaults=True):
    """A message as `POST /v1/chat/completions` takes it."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: list[Called] = []
    tool_call_id: str = ""


class ThreadIds(Struct):
    """The ids of threads, newest first."""

    thread_ids: list[str]


def thread_object(thread: wire.Thread) -> ThreadObject:
    return ThreadObject(
        id=thread.id,
        created_at=int(thread.created_at),
        owner_id=thread.owner,
        participant_ids=list(thread.participants),
        meta_data=thread.meta_data,
    )


def message_object(message: wire.ThreadMessage) -> MessageObject:
    return MessageObject(
        id=message.id,
        created_at=int(message.created_at),
        thread_id=message.thread_id,
        role=message.role,
        content=message.content,
        status=message.status,
        sender_id=message.sender,
        assistant_id=message.assistant_id or None,
        run_id=f"{RUN}{message.run_id}" if message.run_id else None,
        tool_calls=[_called(call.id, call.name, call.arguments) for call in message.tool_calls],
        tool_call_id=message.tool_call_id or None,
        meta_data=message.meta_data,
    )


def thread_run_object(run: wire.ThreadRun) -> ThreadRunObject:
    failed = None
    if run.error_code is not None:
        failed = RunFailure(ErrorCode(run.error_code), run.error or "")
    return ThreadRunObject(
        id=f"{RUN}{run.id}",
        created_at=int(run.created_at),
        expires_at=int(run.deadline),
        ended_at=None if run.ended_at is None else int(run.ended_at),
        status=run.state,
        model=run.model,
        thread_id=run.thread_id,
        assistant_id=run.assistant_id or None,
        user_id=run.user,
        last_error=failed,
    )


def formatted(message: Message) -> FormattedMessage:
    return FormattedMessage(
        role=message.role,
        content=message.content,
        tool_calls=[_called(call.id, call.name, call.arguments) for call in message.tool_calls],
        tool_call_id=message.tool_call_id,
    )


def tool_asked(tool: Tool) -> dict[str, Any]:
    """A tool as `POST /v1/chat/completions` takes it."""
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": msgspec.Raw(tool.parameters.encode()),
        },
    }


def _called(id: str, name: str, arguments: str) -> Called:
    return Called(id, CalledFunction(name, arguments))
