"""What the events of a run that calls tools do to the rows. Pure.

By the same rules as everywhere in the log (`mesh.protocol.tool_story`): only gateways tell it, the
first outcome of a call counts, and nothing behind the end does.
"""

from mesh.protocol.tool_story import WRITER, outcome
from mesh.protocol.tools import ActionDone, ActionsNeeded, RunBegun, RunOver
from mesh.store.models import Action, ToolRun
from mesh.store.records import Record
from mesh.store.rows import Rows
from mesh.store.thread_log import answered, called, found_out

OVER = frozenset({"completed", "incomplete", "failed", "cancelled", "expired"})


Told = RunBegun | ActionsNeeded | ActionDone | RunOver


def apply(rows: Rows, record: Record, event: Told) -> None:
    """Bring the rows up to date with one event."""
    if record.writer.user != WRITER:
        return
    run = rows.tool_runs.get(record.rid)
    if isinstance(event, RunBegun):
        if run is None and event.run.tenant not in rows.gone:
            rows.add(_begun(rows, event))
    elif run is not None and run.state not in OVER:
        _further(rows, record, run, event)


def _further(
    rows: Rows, record: Record, run: ToolRun, event: ActionsNeeded | ActionDone | RunOver
) -> None:
    mine = [action for (run_id, _), action in rows.actions.items() if run_id == run.id]
    match event:
        case ActionsNeeded():
            run.state = "requires_action"
            _needed(rows, record, len(mine), event)
            called(rows, run, record.at, event)
        case ActionDone():
            for action in mine:
                if action.call == event.call and action.state == "pending":
                    _close(action, "failed" if event.failed else "completed", record.at)
                    action.output, action.by = event.output, event.by
                    found_out(rows, run, record.at, event)
            if not any(action.state == "pending" for action in mine):
                run.state = "in_progress"
        case RunOver():
            if run.state == "in_progress":  # else what it had said stands with its calls
                answered(rows, run, record.at, event)
            run.state, run.text, run.ended_at = outcome(event), event.text, record.at
            run.error_code = event.code.value if event.code is not None else None
            run.error = event.detail or None
            for action in mine:
                if action.state == "pending":
                    expired = event.state == "expired"
                    _close(action, "expired" if expired else "cancelled", record.at)


def _begun(rows: Rows, event: RunBegun) -> ToolRun:
    run = event.run
    on_thread = (run.thread, run.tenant) in rows.participants
    # What was said last on a thread may be another's, and goes when that message goes. By its
    # assistant a run is known to be on one that the tenant had to leave since, or that is gone.
    words = run.messages[-1:] if not (on_thread or run.assistant) else ()
    return ToolRun(
        id=run.id,
        tenant=run.tenant,
        thread=run.thread,
        on_thread=on_thread,
        assistant=run.assistant,
        question=words[0].content if words else "",
        model=run.model,
        state="in_progress",
        text="",
        created_at=run.created,
        deadline=run.deadline,
    )


def _needed(rows: Rows, record: Record, number: int, event: ActionsNeeded) -> None:
    for at, call in enumerate(event.calls, number):
        if (record.rid, call.id) not in rows.actions:
            rows.add(
                Action(
                    run_id=record.rid,
                    call=call.id,
                    number=at,
                    tool=call.name,
                    arguments=call.arguments,
                    state="pending",
                    created_at=record.at,
                    expires_at=event.deadline,
                )
            )


def _close(action: Action, state: str, at: float) -> None:
    action.state, action.ended_at = state, at
