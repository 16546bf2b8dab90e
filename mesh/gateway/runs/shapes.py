"""How runs and their actions look over HTTP. Pure."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from mesh.gateway.openai.shapes import Called, CalledFunction
from mesh.protocol.errors import ErrorCode
from mesh.protocol.request import ToolCall
from mesh.protocol.tool_story import State, Status, ToolStory

RUN, ACTION = "run_", "act_"
"""How the ids begin."""

ActionStatus = Literal["pending", "completed", "failed", "expired", "cancelled"]


class Outputs(Struct):
    tool_calls: list[Called]


class RequiredAction(Struct):
    """The calls whose outcomes are waited for."""

    submit_tool_outputs: Outputs
    type: Literal["submit_tool_outputs"] = "submit_tool_outputs"


class RunFailure(Struct):
    code: ErrorCode
    message: str


class Incomplete(Struct):
    """Why the last answer was cut off, as OpenAI's runs say it."""

    reason: Literal["max_completion_tokens"]


class RunUsage(Struct):
    """Tokens of all answers together."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Action(Struct):
    """A call that a model made. result: what came of it; times are Unix seconds."""

    id: str
    run_id: str
    tool_call_id: str
    tool_name: str
    function_args: dict[str, Any]
    status: ActionStatus
    result: str | None
    expires_at: int


class PendingAction(Struct):
    """An action that is waited for, in the words of those who do them."""

    action_id: str
    action_status: Literal["pending"]
    function_arguments: dict[str, Any]
    tool_name: str
    run_id: str
    run_status: State


class RunObject(Struct):
    """A run as it stands. content: the last answer, null up to the end; thread_id, assistant_id:
    where and by whom it is answered, if that is on a thread; times: Unix seconds."""

    id: str
    created_at: int
    expires_at: int
    status: Status
    model: str
    thread_id: str | None
    assistant_id: str | None
    required_action: RequiredAction | None
    actions: list[Action]
    content: str | None
    finish_reason: Literal["stop", "length"] | None
    incomplete_details: Incomplete | None
    last_error: RunFailure | None
    usage: RunUsage
    object: Literal["run"] = "run"


def run_object(story: ToolStory, queued: bool = False) -> RunObject:
    """A run as its log tells it. queued: that of its first asking says that nobody has begun."""
    run, over, used = story.run, story.over, story.usage()
    failed = over.code if over is not None else None
    return RunObject(
        id=RUN + run.id,
        created_at=int(run.created),
        expires_at=int(run.deadline),
        status="queued" if queued else story.state,
        model=run.model,
        thread_id=run.thread or None,
        assistant_id=run.assistant or None,
        required_action=required(story),
        actions=actions(story),
        content=over.text if over is not None else None,
        finish_reason=(over.finish or None) if over is not None else None,
        incomplete_details=(
            Incomplete("max_completion_tokens") if story.state == "incomplete" else None
        ),
        last_error=RunFailure(failed, over.detail) if over is not None and failed else None,
        usage=RunUsage(
            used.prompt_tokens,
            used.completion_tokens,
            used.prompt_tokens + used.completion_tokens,
        ),
    )


def actions(story: ToolStory) -> list[Action]:
    """All calls of a run, in their order."""
    found: list[Action] = []
    for step in story.steps:
        due = min(step.deadline, story.run.deadline)
        found += [_action(story, len(found) + at, call, due) for at, call in enumerate(step.calls)]
    return found


def pending(story: ToolStory) -> list[PendingAction]:
    """Those that are waited for."""
    return [
        PendingAction(
            action_id=action.id,
            action_status="pending",
            function_arguments=action.function_args,
            tool_name=action.tool_name,
            run_id=action.run_id,
            run_status=story.state,
        )
        for action in actions(story)
        if action.status == "pending"
    ]


def required(story: ToolStory) -> RequiredAction | None:
    """The calls that are waited for, if there are any."""
    calls = [Called(call.id, CalledFunction(call.name, call.arguments)) for call in story.pending]
    return RequiredAction(Outputs(calls)) if calls else None


def _action(story: ToolStory, at: int, call: ToolCall, due: float) -> Action:
    done = story.done.get(call.id)
    return Action(
        id=f"{ACTION}{story.run.id}{at:04x}",
        run_id=RUN + story.run.id,
        tool_call_id=call.id,
        tool_name=call.name,
        function_args=_object(call.arguments),
        status=_status(story, call),
        result=done.output if done is not None else None,
        expires_at=int(due),
    )


def _object(arguments: str) -> dict[str, Any]:
    """What a call gives to its function. Nothing where that is no object, as of a call that was cut
    off, which older gateways made all the same."""
    try:
        return msgspec.json.decode(arguments, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return {}


def _status(story: ToolStory, call: ToolCall) -> ActionStatus:
    done = story.done.get(call.id)
    if done is not None:
        return "failed" if done.failed else "completed"
    if story.over is None:
        return "pending"
    return "expired" if story.over.state == "expired" else "cancelled"
