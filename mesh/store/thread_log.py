"""What a run says in its thread, as rows, by the events of the log alone. Pure.

A name that is no thread's, or that of one in which the run's tenant takes no part, gets nothing.
"""

from mesh.protocol.request import ToolCall
from mesh.protocol.tool_story import outcome
from mesh.protocol.tools import ActionDone, ActionsNeeded, RunOver
from mesh.store.models import ToolRun
from mesh.store.rows import Rows
from mesh.store.thread_models import ThreadMessage

PREFIX = "message_"


def called(rows: Rows, run: ToolRun, at: float, event: ActionsNeeded) -> None:
    """The model called tools."""
    _say(rows, run, at, event.uid, "assistant", event.content, calls=event.calls)


def found_out(rows: Rows, run: ToolRun, at: float, event: ActionDone) -> None:
    """Something came of a call."""
    _say(rows, run, at, event.uid, "tool", event.output, call=event.call)


def answered(rows: Rows, run: ToolRun, at: float, event: RunOver) -> None:
    """The run is over. One that was cut short has said what it had said; nothing is no message."""
    if event.text:
        whole = outcome(event) == "completed"
        _say(rows, run, at, event.uid, "assistant", event.text, whole=whole)


def _say(
    rows: Rows,
    run: ToolRun,
    at: float,
    uid: str,
    role: str,
    content: str,
    *,
    whole: bool = True,
    calls: tuple[ToolCall, ...] = (),
    call: str = "",
) -> None:
    """Add a message to the thread, once; its id follows from the event's."""
    thread = rows.threads.get(run.thread)
    known = f"{PREFIX}{uid}" in rows.thread_messages
    if thread is None or known or (thread.id, run.tenant) not in rows.participants:
        return
    rows.add(
        ThreadMessage(
            id=f"{PREFIX}{uid}",
            thread_id=thread.id,
            number=thread.length,
            role=role,
            content=content,
            status="completed" if whole else "incomplete",
            sender=run.tenant,
            assistant_id=run.assistant,
            run_id=run.id,
            tool_calls=calls,
            tool_call_id=call,
            meta_data={},
            created_at=at,
        )
    )
    thread.length += 1
