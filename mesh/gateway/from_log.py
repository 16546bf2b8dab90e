"""The messages of a chat as a request's log tells them: what the store will say as well. Pure."""

from math import inf, nextafter

from mesh.protocol.chats import ChatMessage, MessageState, WorkParameters
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancelled, Done, Failed, Timings, Usage
from mesh.protocol.request import Turn
from mesh.protocol.run import Run


def question(turn: Turn) -> ChatMessage:
    """What the person wrote, as the log's `queued` event carries it."""
    said = turn.user_message
    return ChatMessage(
        id=said.id,
        chat_id=turn.chat_id,
        parent_id=said.parent_id,
        created_at=said.created,
        role="prompter",
        state="manual",
        content=said.content,
    )


def answer(run: Run, turn: Turn) -> ChatMessage:
    """An answer as its log tells it: what the store will say once it has applied that log.

    It is later than the question, as in the store, though that was told the time by another clock.

    Raises ValueError for a log without its beginning.
    """
    if run.queued is None:
        raise ValueError("the first event of this request is missing")
    request, end = run.queued.request, run.end
    failed = end if isinstance(end, Failed) else None
    return ChatMessage(
        id=request.rid,
        chat_id=turn.chat_id,
        parent_id=turn.user_message.id,
        created_at=max(request.created, nextafter(turn.user_message.created, inf)),
        role="assistant",
        state=state(run),
        content=end.text if end else None,
        work=WorkParameters(
            model=request.model,
            sampling=request.sampling,
            max_tokens=request.max_tokens,
            system_prompt=turn.system_prompt,
            user_profile=turn.user_profile,
            response_instructions=turn.response_instructions,
        ),
        finish=end.finish if isinstance(end, Done) else None,
        truncated=end.truncated if isinstance(end, Done) else 0,
        error_code=failed.code.value if failed else None,
        error=(failed.detail or failed.code.sentence) if failed else None,
        worker=run.worker[1].user if run.worker else None,
        attempts=run.worker[0] if run.worker else 0,
        usage=end.usage if end else Usage(),
        timings=end.timings if end else Timings(),
    )


def state(run: Run) -> MessageState:
    """What a chat calls the state of a request."""
    match run.end:
        case None:
            return "in_progress" if run.n else "pending"
        case Done():
            return "complete"
        case Cancelled():
            return "cancelled"
        case Failed(code=ErrorCode.DEADLINE_EXCEEDED):
            return "timeout"
        case Failed():
            return "aborted_by_worker"
