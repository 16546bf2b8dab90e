"""The messages of a chat: read, add, vote, report. Answers are planned in `answers.py`."""

from collections import defaultdict
from secrets import token_hex

from msgspec.structs import replace
from sqlalchemy import Select, and_, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol import chats as wire
from mesh.protocol.chats import AddReport, AddUserMessage, ChatMessage, GetMessage, Ok
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import UserMessage
from mesh.store import tree, view
from mesh.store.models import Chat, Evaluation, Message, Report, Run, Vote
from mesh.store.queries import find, paging
from mesh.store.refusals import NotYet, bad

PAGE_MESSAGES = 500
REPORTS = 20
REASON_LENGTH = 4_000
"""Reports of one message, and characters of each."""

PARENT = "parent_id"
ANOTHER = "This idempotency key was used with another message; use a new key."


async def page(
    session: AsyncSession,
    chat: Chat,
    after: tuple[float, str] | None,
    now: float,
    until: float | None = None,
) -> tuple[tuple[ChatMessage, ...], bool]:
    """The messages of a chat beyond (created_at, id), in order, and whether there are more.

    until: only those created by then (Unix time).
    """
    wanted = select(Message).where(Message.chat_id == chat.id).limit(PAGE_MESSAGES + 1)
    if until is not None:
        wanted = wanted.where(Message.created_at <= until)
    if after is not None:
        wanted = wanted.where(tuple_(Message.created_at, Message.id) > after)
    found = await _shown(session, chat, wanted, now)
    return paging.page(found, PAGE_MESSAGES)


async def get_message(session: AsyncSession, query: GetMessage, now: float) -> ChatMessage:
    chat = await find.chat(session, query.user_id, query.chat_id)
    row = await find.message(session, query.user_id, query.chat_id, query.message_id)
    shown = await _shown(session, chat, select(Message).where(Message.id == row.id), now)
    return shown[0]


async def _shown(
    session: AsyncSession, chat: Chat, wanted: Select[Message], now: float
) -> tuple[ChatMessage, ...]:
    mine = and_(Vote.message_id == Message.id, Vote.user_id == chat.user_id)
    found = await session.execute(
        wanted.add_columns(Run, Vote.score)
        .outerjoin(Run, Run.rid == Message.id)
        .outerjoin(Vote, mine)
        .order_by(Message.created_at, Message.id)
    )
    rows = found.all()
    ids = [row.id for row, _, _ in rows]
    reports, inferior = await _reports(session, ids), await _inferior(session, ids)
    return tuple(
        replace(
            view.message(row, run, score, reports[row.id], now), inferior=tuple(inferior[row.id])
        )
        for row, run, score in rows
    )


async def _inferior(session: AsyncSession, message_ids: list[str]) -> dict[str, list[str]]:
    inferior: dict[str, list[str]] = defaultdict(list)
    wanted = (
        select(Evaluation)
        .where(Evaluation.message_id.in_(message_ids))
        .order_by(Evaluation.inferior_id)
    )
    for row in await session.scalars(wanted):
        inferior[row.message_id].append(row.inferior_id)
    return inferior


async def _reports(session: AsyncSession, message_ids: list[str]) -> dict[str, list[Report]]:
    reports: dict[str, list[Report]] = defaultdict(list)
    wanted = select(Report).where(Report.message_id.in_(message_ids)).order_by(Report.created_at)
    for report in await session.scalars(wanted):
        reports[report.message_id].append(report)
    return reports


async def add_user_message(
    session: AsyncSession, query: AddUserMessage, now: float, most: int
) -> ChatMessage:
    """Keep what a person wrote, before any answer is asked for. `most`: messages of a chat."""
    chat = await find.chat(session, query.user_id, query.chat_id)
    known = await session.get(Message, query.id) if query.id else None
    if known is not None:
        return _again(known, query, now)
    await check_room(session, chat, 1, most)
    parent = await place(session, chat, query.parent_id, now)
    said = UserMessage(
        id=query.id or token_hex(16),
        content=query.content,
        parent_id=query.parent_id,
        created=now,
    )
    message = tree.question(chat, said, parent)
    session.add(message)
    return view.message(message, None, None, (), now)


def _again(known: Message, query: AddUserMessage, now: float) -> ChatMessage:
    """What was added under this id. Raises MeshError (conflict) if that was something else."""
    was = (known.chat_id, known.parent_id, known.content)
    if was != (query.chat_id, query.parent_id, query.content):
        raise MeshError(ErrorCode.CONFLICT, ANOTHER)
    return view.message(known, None, None, (), now)


async def check_room(session: AsyncSession, chat: Chat, more: int, most: int) -> None:
    """Raises MeshError (chat_full) unless `more` messages fit into the chat."""
    if await _count(session, chat) + more > most:
        raise MeshError(
            ErrorCode.CHAT_FULL,
            f"A chat may have {most} messages, and this one is full; start a new chat.",
        )


async def place(
    session: AsyncSession, chat: Chat, parent_id: str | None, now: float
) -> Message | None:
    """The parent for a person's new message: an answer that has ended; None in an empty chat.

    How it ended does not matter, so that a failure never blocks a branch. Raises MeshError
    (bad_request).
    """
    if parent_id is None:
        if await _count(session, chat):
            raise bad("This chat has messages; name in parent_id the answer you reply to.", PARENT)
        return None
    wanted = select(Message, Run).outerjoin(Run, Run.rid == Message.id)
    found = (
        await session.execute(wanted.where(Message.id == parent_id, Message.chat_id == chat.id))
    ).first()
    if found is None:
        raise NotYet(
            ErrorCode.BAD_REQUEST, "parent_id names no message of this chat.", param=PARENT
        )
    parent, run = found
    if parent.role != "assistant":
        raise bad("parent_id names a person's message; reply to an answer, or ask for one.", PARENT)
    if run is not None and view.open_ended(run, now):
        raise NotYet(
            ErrorCode.BAD_REQUEST,
            "The answer in parent_id has not ended yet; wait for it, or cancel it.",
            param=PARENT,
        )
    return parent


async def _count(session: AsyncSession, chat: Chat) -> int:
    wanted = select(func.count()).select_from(Message).where(Message.chat_id == chat.id)
    return await session.scalar(wanted) or 0


async def vote(session: AsyncSession, query: wire.Vote, now: float) -> Ok:
    if query.score not in (-1, 0, 1):
        raise bad("A score is -1, 0 or 1.", "score")
    message = await find.message(session, query.user_id, query.chat_id, query.message_id)
    if message.role != "assistant":
        raise bad("Only answers can be scored.", "message_id")
    row = Vote(message_id=message.id, user_id=query.user_id, score=query.score, created_at=now)
    await session.merge(row)
    return Ok()


async def add_report(session: AsyncSession, query: AddReport, now: float) -> Ok:
    if len(query.reason) > REASON_LENGTH:
        raise bad(f"A reason has at most {REASON_LENGTH:,} characters.", "reason")
    message = await find.message(session, query.user_id, query.chat_id, query.message_id)
    mine = select(func.count()).select_from(Report).where(Report.message_id == message.id)
    if (await session.scalar(mine) or 0) >= REPORTS:
        raise bad(f"This message has been reported {REPORTS} times; that is enough.")
    report = Report(
        id=token_hex(16),
        message_id=message.id,
        user_id=query.user_id,
        report_type=query.report_type,
        reason=query.reason,
        created_at=now,
    )
    session.add(report)
    return Ok()
