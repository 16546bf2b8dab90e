"""What the routes of runs, and of the mesh itself, refuse besides what many do."""

from typing import Any

from mesh.protocol.errors import ErrorCode
from tests.refusals.bodies import (
    NO_MODEL,
    SAID,
    chosen,
    formats,
    sampled,
    tools,
    turns,
    unsupported,
)
from tests.refusals.rows import Part, Table, bad, refused
from tests.refusals.threads import NO_ASSISTANT, NO_THREAD


def _runs(**body: Any) -> Part:
    """The rows of a run on a thread."""
    return Part(
        "a run on a thread",
        (
            refused(
                ErrorCode.NOT_FOUND,
                NO_ASSISTANT,
                body | {"assistant_id": "nothing"},
                '`"assistant_id": "nothing"`',
            ),
            refused(
                ErrorCode.NOT_FOUND,
                NO_ASSISTANT,
                body | {"assistant_id": "$another assistant"},
                "an `assistant_id` of somebody else's",
            ),
            bad(
                "messages",
                "A run on a thread is asked what stands there; use additional_messages to add.",
                body | {"assistant_id": "$assistant"} | SAID,
                "`messages`",
            ),
            bad(
                "additional_messages[0].content",
                "Expected `str` of length >= 1.",
                body | {"assistant_id": "$assistant", "additional_messages": [{"content": ""}]},
                "an additional message that says nothing",
            ),
        ),
    )


ON_A_THREAD: dict[str, Any] = {
    "assistant_id": "$assistant",
    "instructions": "Be short.",
    "additional_instructions": "Be short.",
    "additional_messages": [{"content": "x"}],
}

RUN = {"assistant_id": "$assistant"}

ROWS: dict[str, Table] = {
    "POST /v1/threads/{thread_id}/runs": (
        _runs(),
        bad(
            "thread_id",
            "The body names another thread than the path; leave it out there.",
            {"assistant_id": "$assistant", "thread_id": "nothing"},
            "another thread's id in the body",
        ),
        refused(
            ErrorCode.EMPTY_PROMPT,
            "Nothing was said in this thread yet; write something to be answered.",
            RUN,
            "a thread in which nothing was said",
            ids={"thread_id": "$empty thread"},
        ),
        sampled(RUN),
        tools(RUN),
        chosen(RUN),
        formats(RUN),
    ),
    "POST /v1/runs": (
        turns(),
        sampled(SAID),
        tools(SAID),
        chosen(SAID),
        formats(SAID),
        *(
            unsupported(
                name,
                f"{name} is for a run on a thread; name its thread_id, or leave it out.",
                SAID | {name: value},
                f"`{name}` without `thread_id`",
            )
            for name, value in ON_A_THREAD.items()
        ),
        unsupported(
            "stream", "A run has no stream; leave it out.", SAID | {"stream": True}, "`stream`"
        ),
        unsupported("n", "A run has no n; leave it out.", SAID | {"n": 2}, '`"n": 2`'),
        unsupported(
            "metadata",
            "A run has no metadata; note it with its thread or a message, and leave it out.",
            SAID | {"metadata": {"a": "b"}},
            "`metadata` that say something",
        ),
        unsupported(
            "logprobs",
            "A run does not tell probabilities; leave logprobs out.",
            SAID | {"logprobs": True},
            "`logprobs`",
        ),
        refused(
            ErrorCode.NOT_FOUND,
            NO_THREAD,
            RUN | {"thread_id": "nothing"},
            '`"thread_id": "nothing"`',
        ),
        _runs(thread_id="$thread"),
        unsupported(
            "meta_data",
            "A run has no meta_data; note it with its thread or a message, and leave it out.",
            RUN | {"thread_id": "$thread", "meta_data": {"a": "b"}},
            "`meta_data` that say something",
        ),
        unsupported(
            "tool_resources",
            "Files and vector stores are not kept here; leave tool_resources out.",
            RUN | {"thread_id": "$thread", "tool_resources": {"a": {}}},
            "`tool_resources` that say something",
        ),
        unsupported(
            "truncation_strategy",
            "The oldest turns are left out where a thread is longer than its model can read; leave "
            "truncation_strategy out.",
            RUN | {"thread_id": "$thread", "truncation_strategy": {"type": "auto"}},
            "`truncation_strategy` that says something",
        ),
        bad(
            "expires_at",
            "This run would be over before it begins; name a later time.",
            RUN | {"thread_id": "$thread", "expires_at": 1},
            '`"expires_at": 1`',
        ),
        bad(
            "completed_at",
            "Expected `null`, got `int`.",
            RUN | {"thread_id": "$thread", "completed_at": 1},
            '`"completed_at": 1`',
        ),
    ),
    "GET /v1/runs/{run_id}/actions/status": (
        bad("status", "status: Invalid enum value 'lost'.", query={"status": "lost"}),
    ),
    "POST /v1/runs/{run_id}/submit_tool_outputs": (
        bad("tool_outputs", "Expected `array` of length >= 1.", {"tool_outputs": []}),
        bad(
            "tool_outputs",
            "This run has no call 'nothing'.",
            {"tool_outputs": [{"tool_call_id": "nothing", "output": "x"}]},
        ),
        bad(
            "tool_outputs",
            "The call '…' is there with two outcomes; say one.",
            {"tool_outputs": [{"tool_call_id": "$call", "output": each} for each in "xy"]},
            "two outcomes of one call",
        ),
        refused(
            ErrorCode.CONFLICT,
            "Nothing can be said of this call any more: the run is cancelled.",
            {"tool_outputs": [{"tool_call_id": "$over call", "output": "x"}]},
            "a run that is over",
            ids={"run_id": "$over run"},
        ),
    ),
    "PUT /v1/runs/{run_id}/status": (
        bad("status", "Invalid enum value 'lost'.", {"status": "lost"}),
        refused(
            ErrorCode.CONFLICT,
            "This run is requires_action, which follows from what happened to it. Say what came of "
            "its calls (PUT /v1/actions/{action_id}), or cancel it.",
            {"status": "completed"},
            param="status",
        ),
    ),
    "PUT /v1/actions/{action_id}": (
        bad("status", "Invalid enum value 'lost'.", {"status": "lost"}),
        refused(
            ErrorCode.CONFLICT,
            "Nothing can be said of this call any more: the run is cancelled.",
            {"status": "completed"},
            "an action of a run that is over",
            ids={"action_id": "$over action"},
        ),
        refused(
            ErrorCode.CONFLICT,
            "This action is cancelled. Say what came of it, completed or failed; …",
            {"status": "processing"},
            "that somebody is at an action that is over",
            ids={"action_id": "$over action"},
            param="status",
        ),
    ),
    "POST /workers/{name}/drain": (
        refused(
            ErrorCode.FORBIDDEN,
            "Only an operator may send a worker away.",
            {},
            "somebody who is no operator",
            by="owner",
        ),
        refused(
            ErrorCode.NOT_FOUND,
            "There is no worker 'nobody' here.",
            {},
            ids={"name": "nobody"},
            by="admin",
        ),
    ),
    "GET /shared/{share_id}": (
        refused(ErrorCode.NOT_FOUND, "There is no such link.", ids={"share_id": "nothing"}),
    ),
    "GET /page/{name}": (
        refused(ErrorCode.NOT_FOUND, "The page has no such file.", ids={"name": "nothing"}),
    ),
    "GET /v1/models/{model}": (
        refused(ErrorCode.MODEL_NOT_FOUND, NO_MODEL, ids={"model": "none"}, param="model"),
    ),
}
