"""What a thread's messages are to a model that is asked to go on with them. Pure."""

from collections.abc import Sequence

from mesh.protocol.request import Message
from mesh.protocol.threads import INSTRUCTS
from mesh.store.thread_models import ThreadMessage


def conversation(rows: Sequence[ThreadMessage]) -> tuple[Message, ...]:
    """The turns, in the form that chat templates expect.

    What platform and system say stands first, as one. Calls are followed by their outcomes, even
    if somebody spoke in between; calls that have not all of them are left out, for nobody waits
    for them any more, and so is what says nothing. No outcome stands without its call, which
    templates, upstreams and `POST /v1/chat/completions` refuse: that of a run goes with the call,
    and what somebody wrote as the outcome of a call that is not there is theirs to have said.
    """
    outcomes = {row.tool_call_id: row for row in rows if row.role == "tool"}
    called = {call.id for row in rows for call in row.tool_calls}
    told = "\n\n".join(row.content for row in rows if row.role in INSTRUCTS and row.content)
    said = [Message(role="system", content=told)] if told else []
    for row in rows:
        if row.role in INSTRUCTS:
            continue
        if row.role == "tool":
            if row.tool_call_id not in called and not row.run_id:
                said.append(Message(role="user", content=row.content))
            continue
        calls = row.tool_calls if all(call.id in outcomes for call in row.tool_calls) else ()
        if row.content or calls:
            said.append(
                Message(
                    role="assistant" if row.role == "assistant" else "user",
                    content=row.content,
                    tool_calls=calls,
                )
            )
        said += [_outcome(outcomes[call.id]) for call in calls]
    return tuple(said)


def _outcome(row: ThreadMessage) -> Message:
    return Message(role="tool", content=row.content, tool_call_id=row.tool_call_id)
