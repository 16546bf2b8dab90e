"""What one event of the log does to the rows. Pure: neither broker nor database.

Rows only ever move forward (queued, running, ended), so an event that is applied again, even a
whole log from its beginning, changes nothing. What the log says is not argued with: whether a
message may be asked for was checked before it was queued.
"""

from mesh.protocol.chats import WorkParameters
from mesh.protocol.events import (
    Cancel,
    Cancelled,
    Claim,
    Deleted,
    Done,
    End,
    Failed,
    Queued,
    WorkerLost,
    WorkerStarted,
    WorkerStopped,
)
from mesh.protocol.numbers import LEAP
from mesh.protocol.request import Charge, Request, Turn
from mesh.protocol.subjects import Writer
from mesh.protocol.tool_story import WRITER
from mesh.protocol.tools import ActionDone, ActionsNeeded, KeyLed, RunBegun, RunOver
from mesh.store import charges, tool_runs, tree, usage, workers
from mesh.store.models import Chat, Message, Run
from mesh.store.records import Record, Unreadable
from mesh.store.rows import Rows

ENDED = frozenset({"done", "failed", "cancelled"})


def apply(rows: Rows, record: Record) -> None:
    """Bring the rows up to date with one event. Raises Unreadable if it contradicts them."""
    match record.event:
        case Queued() as event:
            _queued(rows, event)
        case Claim() as event:
            _claimed(rows, record, event)
        case Cancel():
            _cancel_asked(rows, record)
        case Done() | Failed() | Cancelled() as event:
            _ended(rows, record, event)
        case Deleted():
            _deleted(rows, record)
        case RunBegun() | ActionsNeeded() | ActionDone() | RunOver() as event:
            tool_runs.apply(rows, record, event)
        case KeyLed():
            pass  # it is for gateways alone
        case WorkerStarted(info=info):
            workers.started(rows, record, info)
        case WorkerStopped(reason=reason):
            workers.left(rows, record, "stopped", record.writer, reason)
        case WorkerLost(name=name, inc=inc):
            workers.left(rows, record, "lost", Writer(name, inc))


def _queued(rows: Rows, event: Queued) -> None:
    request, turn = event.request, event.turn
    deleted = request.tenant in rows.gone or (turn is not None and turn.chat_id in rows.deleted)
    if deleted:
        return
    if (run := rows.runs.get(request.rid)) is not None:
        if run.state not in ENDED:  # it is asked for anew, in a log that had lost it
            run.reply = request.reply
        return
    chat = None if turn is None else _chat(rows, turn)
    if turn is not None and chat is not None:
        rows.add(tree.answer(chat, request.rid, request.created, _question(rows, chat, turn)))
    rows.add(_run(request, turn, chat, event.charge))
    if event.charge is not None:
        charges.asked(rows, request.tenant, event.charge)


def _chat(rows: Rows, turn: Turn) -> Chat | None:
    """The chat of a turn. A database restored from a backup may lack it: then it comes back.

    None if its user is not there either; the run is kept by itself then.
    """
    chat = rows.chats.get(turn.chat_id)
    if chat is None and turn.user_id in rows.users:
        began = turn.user_message.created
        chat = Chat(
            id=turn.chat_id,
            user_id=turn.user_id,
            title=None,
            hidden=False,
            allow_data_use=True,
            active_tail=None,
            created_at=began,
            modified_at=began,
        )
        rows.add(chat)
    return chat


def _question(rows: Rows, chat: Chat, turn: Turn) -> Message:
    said = turn.user_message
    question = rows.messages.get(said.id)
    if question is None:
        parent = rows.messages.get(said.parent_id or "")
        if parent is not None and parent.chat_id != chat.id:
            parent = None
        question = tree.question(chat, said, parent)
        rows.add(question)
    if question.chat_id != chat.id:
        raise Unreadable(f"message {said.id} is in another chat than {chat.id}")
    return question


def _run(request: Request, turn: Turn | None, chat: Chat | None, charge: Charge | None) -> Run:
    return Run(
        rid=request.rid,
        chat_id=chat.id if chat else None,
        tenant=request.tenant,
        key=request.key,
        client=charge.client if charge else None,
        client_user=charge.user if charge else None,
        model=request.model,
        parameters=_parameters(request, turn),
        trace=request.trace,
        reply=request.reply,
        created_at=request.created,
        deadline=request.deadline,
        state="queued",
        attempts=0,
        text="",
        truncated=0,
        prompt_tokens=0,
        completion_tokens=0,
        cached_tokens=0,
        queue_seconds=0.0,
        generate_seconds=0.0,
    )


def _parameters(request: Request, turn: Turn | None) -> WorkParameters:
    return WorkParameters(
        model=request.model,
        sampling=request.sampling,
        max_tokens=request.max_tokens,
        system_prompt=turn.system_prompt if turn else "",
        user_profile=turn.user_profile if turn else "",
        response_instructions=turn.response_instructions if turn else "",
        store=request.store,
    )


def _open_run(rows: Rows, record: Record) -> Run | None:
    """The run of an event, unless it has ended, or its chat was deleted, or it was never seen."""
    run = _run_of(rows, record)
    return None if run is None or run.state in ENDED else run


def _run_of(rows: Rows, record: Record) -> Run | None:
    """The run that an event is about. Raises Unreadable where it is not told at the run's address:
    those who follow it there do not read that."""
    run = rows.runs.get(record.rid)
    if run is not None and run.reply not in (None, record.reply):
        raise Unreadable(f"{record.rid} is told at {run.reply}, and this is at {record.reply}")
    return run


def _claimed(rows: Rows, record: Record, claim: Claim) -> None:
    run = _open_run(rows, record)
    if run is None or not run.attempts < claim.n <= run.attempts + LEAP:
        return
    if record.writer.user == WRITER:
        return  # it claims what it ends at once
    run.state, run.attempts, run.claimed_at = "running", claim.n, record.at
    run.worker, run.inc = record.writer
    workers.claimed(rows, record, run)


def _cancel_asked(rows: Rows, record: Record) -> None:
    run = _open_run(rows, record)
    if run is not None and run.cancel_asked_at is None:
        run.cancel_asked_at = record.at


def _ended(rows: Rows, record: Record, end: End) -> None:
    run = _open_run(rows, record)
    if run is None:
        return
    run.ended_at, run.text = record.at, end.text if run.parameters.store else ""
    match end:
        case Done():
            run.state, run.finish, run.truncated = "done", end.finish, end.truncated
        case Failed():
            run.state, run.error_code = "failed", end.code.value
            run.error = end.detail or end.code.sentence
        case Cancelled():
            run.state = "cancelled"
    _measure(run, end)
    charges.ended(rows, run)
    usage.ended(rows.day_of(run, record.at), run)
    workers.ended(rows, record, run, end)


def _deleted(rows: Rows, record: Record) -> None:
    """The words of an answer go, its measures stay. A chat's messages are deleted by their chat."""
    run = _run_of(rows, record)
    by_gateway = record.writer.user == WRITER
    if run is not None and run.chat_id is None and run.state in ENDED and by_gateway:
        run.text = ""


def _measure(run: Run, end: End) -> None:
    run.prompt_tokens = end.usage.prompt_tokens
    run.completion_tokens = end.usage.completion_tokens
    run.cached_tokens = end.usage.cached_tokens
    run.queue_seconds = end.timings.queue
    run.first_token_seconds = end.timings.first_token
    run.generate_seconds = end.timings.generate
    if end.seal is not None:
        run.pieces = end.seal.count
        run.text_checksum, run.ids_checksum = end.seal.text, end.seal.ids
