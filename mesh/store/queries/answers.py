"""Plans an answer: its place in the chat, and the conversation that leads to it. Keeps nothing.

What is planned becomes rows when its `queued` event arrives in the log.
"""

from itertools import groupby

from msgspec.structs import replace
from sqlalchemy import ColumnElement, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol.chats import Plan, PlanAnswer
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Message as Said
from mesh.protocol.request import Turn, UserMessage
from mesh.store.apply import ENDED
from mesh.store.models import Chat, Message, Run
from mesh.store.queries import find
from mesh.store.queries.messages import check_room, place
from mesh.store.refusals import bad
from mesh.store.view import GRACE

LONGEST = 1_000_000
"""Characters of the longest conversation that is asked to be continued: far beyond what models
read, and within one message of the broker."""


async def plan_answer(session: AsyncSession, query: PlanAnswer, now: float, most: int) -> Plan:
    """`most`: messages a chat may have. Raises MeshError (not_found, bad_request,
    chat_full, too_large)."""
    chat = await find.chat(session, query.user_id, query.chat_id)
    match query.parent_id, query.user_message:
        case str() as parent_id, None:
            await check_room(session, chat, query.answers, most)
            question = await _question(session, query, parent_id)
            history = await _path(session, question.id)
        case None, UserMessage() as question:
            await check_room(session, chat, 1 + query.answers, most)
            if query.beside is not None:
                question = await _reworded(session, query, question, query.beside)
            elif query.at_end:
                question = replace(question, parent_id=await _newest(session, chat, now))
            else:
                await place(session, chat, question.parent_id, now)
            above = question.parent_id
            history = await _path(session, above) if above is not None else []
            history.append(Said(role="user", content=question.content))
        case _:
            raise bad("Give either parent_id or user_message.")
    _check_length(history)
    return Plan(
        turn=Turn(chat_id=chat.id, user_id=query.user_id, user_message=question),
        messages=tuple(alternate(history)),
        unfinished=await _unfinished(session, chat, question.id, now),
    )


def _check_length(history: list[Said]) -> None:
    if sum(len(said.content) for said in history) > LONGEST:
        raise MeshError(
            ErrorCode.TOO_LARGE,
            f"This conversation has grown beyond {LONGEST:,} characters; start a new chat.",
        )


async def _reworded(
    session: AsyncSession, query: PlanAnswer, said: UserMessage, beside: str
) -> UserMessage:
    """The new message under the same parent as the one that it is another wording of."""
    message = await find.message(session, query.user_id, query.chat_id, beside)
    if message.role != "prompter":
        raise bad("beside names an answer; only a person's message can be worded anew.", "beside")
    return replace(said, parent_id=message.parent_id)


async def _newest(session: AsyncSession, chat: Chat, now: float) -> str | None:
    """The newest answer that has ended; None where there is none yet."""
    return await session.scalar(
        select(Message.id)
        .join(Run, Run.rid == Message.id)
        .where(Message.chat_id == chat.id, ~_waited_for(now))
        .order_by(Message.created_at.desc(), Message.id.desc())
        .limit(1)
    )


def _waited_for(now: float) -> ColumnElement[bool]:
    """As `view.open_ended`, of a run in the database."""
    return Run.state.not_in(ENDED) & (Run.deadline >= now - GRACE)


async def _question(session: AsyncSession, query: PlanAnswer, parent_id: str) -> UserMessage:
    """The user's message that is there already; another answer to it is a sibling."""
    message = await find.message(session, query.user_id, query.chat_id, parent_id)
    if message.role != "prompter" or message.content is None:
        raise bad(
            "parent_id names an answer; an answer's parent is a person's message.", "parent_id"
        )
    return UserMessage(
        id=message.id,
        content=message.content,
        parent_id=message.parent_id,
        created=message.created_at,
    )


async def _path(session: AsyncSession, leaf: str) -> list[Said]:
    """The conversation from the root to a message."""
    path = (
        select(Message.id, Message.parent_id, literal(0).label("height"))
        .where(Message.id == leaf)
        .cte("path", recursive=True)
    )
    path = path.union_all(
        select(Message.id, Message.parent_id, path.c.height + 1).join(
            path, Message.id == path.c.parent_id
        )
    )
    found = await session.execute(
        select(Message.role, Message.content, Run.text)
        .join(path, path.c.id == Message.id)
        .outerjoin(Run, Run.rid == Message.id)
        .order_by(path.c.height.desc())
    )
    return [
        Said(role="assistant" if role == "assistant" else "user", content=text or content or "")
        for role, content, text in found
    ]


def alternate(history: list[Said]) -> list[Said]:
    """Roles in turn, as chat templates want them: an answer that failed before its first word
    is left out, and what the person then said twice becomes one message."""
    spoken = [said for said in history if said.content]
    return [
        Said(role=role, content="\n\n".join(said.content for said in group))
        for role, group in groupby(spoken, key=lambda said: said.role)
    ]


async def _unfinished(
    session: AsyncSession, chat: Chat, question_id: str, now: float
) -> tuple[str, ...]:
    """Answers of this chat that are still to be waited for, but not those to this question."""
    found = await session.scalars(
        select(Run.rid)
        .join(Message, Message.id == Run.rid)
        .where(
            Message.chat_id == chat.id,
            Message.parent_id != question_id,
            _waited_for(now),
        )
    )
    return tuple(found)
