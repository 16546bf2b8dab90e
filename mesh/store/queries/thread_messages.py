"""The messages of a thread: add, read, and the conversation that they are to a model."""

from secrets import token_hex
from typing import cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol import threads as wire
from mesh.protocol.assistants import GetAssistant
from mesh.protocol.chats import Ok
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.threads import (
    INSTRUCTS,
    AddThreadMessage,
    DeleteThreadMessage,
    GetThreadMessage,
    ListThreadMessages,
    MessageStatus,
    NewMessage,
    PlanThread,
    Role,
    ThreadMessages,
    ThreadPlan,
)
from mesh.store.conversation import conversation
from mesh.store.queries import find
from mesh.store.queries.answers import LONGEST
from mesh.store.queries.assistants import get_assistant
from mesh.store.queries.once import ELSEWHERE
from mesh.store.queries.paging import check_limit, page
from mesh.store.refusals import bad, no_such
from mesh.store.thread_log import PREFIX
from mesh.store.thread_models import (
    AssistantTool,
    KeptTool,
    Thread,
    ThreadMessage,
    ThreadParticipant,
)

AT_ONCE = 10
"""Messages that are loaded in one go; each may be as long as the body of a request."""


async def add_thread_message(
    session: AsyncSession, query: AddThreadMessage, now: float, most: int
) -> wire.ThreadMessage:
    """`most`: messages a thread may have."""
    thread = await find.thread(session, query.user_id, query.thread_id)
    first = await add(session, thread, query.user_id, query.message, now, most)
    for each in query.more:
        await add(session, thread, query.user_id, each, now, most)
    return shown(first)


async def add(
    session: AsyncSession, thread: Thread, sender: str, said: NewMessage, now: float, most: int
) -> ThreadMessage:
    """Keep what somebody wrote; what steers whoever answers, only by the thread's owner.

    Raises MeshError (forbidden, bad_request, chat_full, conflict, not_found).
    """
    if said.role != "user" and sender != thread.owner:
        detail = f"Only the thread's owner may add {said.role} messages; write as user."
        raise MeshError(ErrorCode.FORBIDDEN, detail, param="role")
    known = await _known(session, thread, sender, said)
    if known is not None:
        return known
    if said.assistant_id:
        await find.assistant(session, sender, said.assistant_id)
    if said.role == "tool" and not said.tool_call_id:
        raise bad("Say which call this is the outcome of.", "tool_call_id")
    if thread.length >= most:
        detail = f"A thread may have {most} messages, and this one is full; begin another."
        raise MeshError(ErrorCode.CHAT_FULL, detail)
    row = ThreadMessage(
        id=f"{PREFIX}{said.uid or token_hex(16)}",
        thread_id=thread.id,
        number=thread.length,
        role=said.role,
        content=said.content,
        status="completed",
        sender=sender,
        assistant_id=said.assistant_id,
        run_id="",
        tool_calls=(),
        tool_call_id=said.tool_call_id,
        meta_data=said.meta_data,
        created_at=now,
    )
    thread.length += 1
    session.add(row)
    return row


async def _known(
    session: AsyncSession, thread: Thread, sender: str, said: NewMessage
) -> ThreadMessage | None:
    """What was written under this uid before. Raises MeshError (conflict) if that is another."""
    row = await session.get(ThreadMessage, f"{PREFIX}{said.uid}") if said.uid else None
    if row is None:
        return None
    there = (row.thread_id, row.sender, row.role, row.content, row.run_id)
    more = (row.assistant_id, row.tool_call_id, row.meta_data)
    same = there == (thread.id, sender, said.role, said.content, "")
    if not same or more != (said.assistant_id, said.tool_call_id, said.meta_data):
        raise MeshError(ErrorCode.CONFLICT, ELSEWHERE)
    return row


async def get_thread_message(session: AsyncSession, query: GetThreadMessage) -> wire.ThreadMessage:
    row = await session.get(ThreadMessage, query.message_id)
    if row is None:
        raise no_such("message")
    await _look_in(session, query.user_id, row)
    return shown(row)


async def delete_thread_message(session: AsyncSession, query: DeleteThreadMessage) -> Ok:
    """Its number is nobody's again, so that pages go on behind what is left."""
    thread = await find.thread(session, query.user_id, query.thread_id)
    row = await session.get(ThreadMessage, query.message_id)
    if row is None or row.thread_id != thread.id:
        raise no_such("message")
    if query.user_id not in (row.sender, thread.owner):
        detail = "Only who wrote a message, and who began its thread, may delete it."
        raise MeshError(ErrorCode.FORBIDDEN, detail)
    await session.delete(row)
    return Ok()


async def list_thread_messages(session: AsyncSession, query: ListThreadMessages) -> ThreadMessages:
    check_limit(query.limit)
    thread = await find.thread(session, query.user_id, query.thread_id)
    wanted = select(ThreadMessage).where(ThreadMessage.thread_id == thread.id)
    up = query.order == "asc"
    number = ThreadMessage.number
    for cursor, behind in ((query.after, True), (query.before, False)):
        if cursor is not None:
            at = await _number(session, thread, cursor)
            wanted = wanted.where(number > at if behind == up else number < at)
    wanted = wanted.order_by(number if up else number.desc()).limit(query.limit + 1)
    rows = await session.scalars(wanted)
    found, more = page([shown(row) for row in rows], query.limit)
    return ThreadMessages(messages=found, more=more)


async def plan_thread(session: AsyncSession, query: PlanThread) -> ThreadPlan:
    thread = await find.thread(session, query.user_id, query.thread_id)
    messages = conversation(await _newest(session, thread, query.without))
    if not query.assistant_id:
        return ThreadPlan(messages=messages)
    assistant = await get_assistant(
        session, GetAssistant(user_id=query.user_id, assistant_id=query.assistant_id)
    )
    given = (
        select(KeptTool)
        .join(AssistantTool, AssistantTool.tool_id == KeptTool.id)
        .where(AssistantTool.assistant_id == assistant.id)
        .order_by(KeptTool.created_at, KeptTool.id)
    )
    tools = {tool.name: tool for tool in assistant.fields.tools}
    for row in await session.scalars(given):
        tools.setdefault(row.name, row.tool)
    return ThreadPlan(assistant=assistant, tools=tuple(tools.values()), messages=messages)


async def _newest(
    session: AsyncSession, thread: Thread, without: tuple[str, ...]
) -> list[ThreadMessage]:
    """The instructions and the newest messages, oldest first, as many as models may read.

    No more are loaded: all of a thread may be more than there is memory.
    """
    wanted = (
        select(ThreadMessage)
        .where(ThreadMessage.thread_id == thread.id)
        .where(ThreadMessage.id.not_in([f"{PREFIX}{uid}" for uid in without]))
        .order_by(ThreadMessage.number.desc())
        .execution_options(yield_per=AT_ONCE)
    )
    instructs = ThreadMessage.role.in_(INSTRUCTS)
    found: list[ThreadMessage] = []
    left = LONGEST
    for kind in (instructs, ~instructs):
        async for row in await session.stream_scalars(wanted.where(kind)):
            left -= len(row.content) + sum(len(call.arguments) for call in row.tool_calls)
            if left < 0 and found:
                break
            found.append(row)
    return sorted(found, key=lambda row: row.number)


async def _number(session: AsyncSession, thread: Thread, message_id: str) -> int:
    row = await session.get(ThreadMessage, message_id)
    if row is None or row.thread_id != thread.id:
        raise bad("This cursor is no message of the thread; list from its beginning.")
    return row.number


async def _look_in(session: AsyncSession, user: str, row: ThreadMessage) -> None:
    """Raises MeshError (not_found) unless a message is of a thread that somebody takes part in."""
    part = await session.get(ThreadParticipant, (row.thread_id, user))
    if part is None:
        raise no_such("message")


def shown(row: ThreadMessage) -> wire.ThreadMessage:
    return wire.ThreadMessage(
        id=row.id,
        thread_id=row.thread_id,
        created_at=row.created_at,
        role=cast("Role", row.role),
        content=row.content,
        status=cast("MessageStatus", row.status),
        sender=row.sender,
        assistant_id=row.assistant_id,
        run_id=row.run_id,
        tool_calls=row.tool_calls,
        tool_call_id=row.tool_call_id,
        meta_data=row.meta_data,
    )
