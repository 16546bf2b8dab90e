"""Rows as the protocol shows them. Pure; decides what state a reader sees."""

from collections.abc import Sequence
from typing import cast

from mesh.protocol import accounts
from mesh.protocol import chats as wire
from mesh.protocol.chats import MessageState
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Timings, Usage
from mesh.store.apply import ENDED
from mesh.store.models import ApiKey, Chat, Message, Report, Run, Share, User, WorkerEvent

GRACE = 60.0
"""Seconds after its deadline at which a request without an end is shown as failed.

The mesh ends every request by its deadline. Only where the log itself was lost no end ever comes,
and then the branch must not wait for it. The row is not touched: an end that does come counts.
"""

_STATES: dict[str, MessageState] = {
    "queued": "pending",
    "running": "in_progress",
    "done": "complete",
    "cancelled": "cancelled",
    "failed": "aborted_by_worker",
}


def overdue(run: Run, now: float) -> bool:
    """Whether a request ought to have ended, but the log said nothing."""
    return run.state not in ENDED and run.deadline + GRACE < now


def open_ended(run: Run, now: float) -> bool:
    """Whether an answer is still to be waited for."""
    return run.state not in ENDED and not overdue(run, now)


def user(row: User) -> accounts.User:
    return accounts.User(
        id=row.id,
        provider=row.provider,
        account=row.account,
        display_name=row.display_name,
        role=cast("accounts.Role", row.role),
        created_at=row.created_at,
        valid_from=row.valid_from,
    )


def ended(row: User, now: float) -> dict[str, float]:
    """Sign-ins that have ended and are still to be remembered, each with until when."""
    return {session: until for session, until in (row.ended or {}).items() if until > now}


def scopes(row: ApiKey) -> tuple[accounts.Scope, ...]:
    return cast("tuple[accounts.Scope, ...]", tuple(row.scopes.split()))


def key(row: ApiKey) -> accounts.Key:
    return accounts.Key(
        id=row.id,
        user_id=row.user_id,
        name=row.name,
        hint=row.hint,
        scopes=scopes(row),
        client=row.client,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )


def share(row: Share) -> accounts.Share:
    return accounts.Share(id=row.id, chat_id=row.chat_id, created_at=row.created_at)


def chat(row: Chat) -> wire.Chat:
    return wire.Chat(
        id=row.id,
        created_at=row.created_at,
        modified_at=row.modified_at,
        title=row.title,
        hidden=row.hidden,
        allow_data_use=row.allow_data_use,
        active_thread_tail_message_id=row.active_tail,
    )


def message(
    row: Message, run: Run | None, score: int | None, reports: Sequence[Report], now: float
) -> wire.ChatMessage:
    """A node of a chat's tree; `run` is that of an answer."""
    shown = wire.ChatMessage(
        id=row.id,
        chat_id=row.chat_id,
        parent_id=row.parent_id,
        created_at=row.created_at,
        role="assistant" if row.role == "assistant" else "prompter",
        state="manual",
        content=row.content,
        score=score or 0,
        reports=tuple(_report(report) for report in reports),
    )
    return shown if run is None else _answer(shown, run, now)


def _answer(shown: wire.ChatMessage, run: Run, now: float) -> wire.ChatMessage:
    made = generation(run, now)
    return wire.ChatMessage(
        id=shown.id,
        chat_id=shown.chat_id,
        parent_id=shown.parent_id,
        created_at=shown.created_at,
        role=shown.role,
        state=_state(made),
        content=None if open_ended(run, now) else run.text,
        score=shown.score,
        reports=shown.reports,
        work=run.parameters,
        finish=run.finish,
        truncated=run.truncated,
        error_code=made.error_code,
        error=made.error,
        worker=run.worker,
        attempts=run.attempts,
        usage=made.usage,
        timings=made.timings,
    )


def _state(made: wire.RunRow) -> MessageState:
    late = made.state == "failed" and made.error_code == ErrorCode.DEADLINE_EXCEEDED
    return "timeout" if late else _STATES[made.state]


def _report(row: Report) -> wire.Report:
    return wire.Report(
        id=row.id,
        report_type=cast("wire.ReportType", row.report_type),
        reason=row.reason,
        created_at=row.created_at,
    )


def generation(run: Run, now: float) -> wire.RunRow:
    """A request as it stands; one that is overdue is shown as failed."""
    late = overdue(run, now)
    code = ErrorCode.DEADLINE_EXCEEDED
    return wire.RunRow(
        rid=run.rid,
        tenant=run.tenant,
        model=run.model,
        state="failed" if late else cast("wire.RunState", run.state),
        created_at=run.created_at,
        cancel_asked_at=run.cancel_asked_at,
        ended_at=run.ended_at,
        chat_id=run.chat_id,
        text=run.text,
        finish=run.finish,
        error_code=code.value if late else run.error_code,
        error=code.sentence if late else run.error,
        worker=run.worker,
        attempts=run.attempts,
        usage=_usage(run),
        timings=_timings(run),
        pieces=run.pieces,
        checksum=run.text_checksum,
    )


def _usage(run: Run) -> Usage:
    return Usage(
        prompt_tokens=run.prompt_tokens,
        completion_tokens=run.completion_tokens,
        cached_tokens=run.cached_tokens,
    )


def _timings(run: Run) -> Timings:
    return Timings(
        queue=run.queue_seconds,
        first_token=run.first_token_seconds,
        generate=run.generate_seconds,
    )


def worker_event(row: WorkerEvent) -> wire.WorkerEventRow:
    return wire.WorkerEventRow(
        seq=row.seq,
        at=row.at,
        worker=row.worker,
        kind=cast("wire.WorkerEventKind", row.kind),
        rid=row.rid,
        detail=row.detail,
    )
