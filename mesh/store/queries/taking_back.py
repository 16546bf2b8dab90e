"""Forgets what a refused request has left in a chat; what has come of it meanwhile stays."""

from sqlalchemy import delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from mesh.protocol.chats import Ok
from mesh.protocol.errors import REFUSALS
from mesh.protocol.taking_back import TakeBack
from mesh.store import tree
from mesh.store.apply import ENDED
from mesh.store.models import Chat, Evaluation, Message, Report, Run, Share, Vote
from mesh.store.queries import find


async def take_back(session: AsyncSession, query: TakeBack) -> Ok:
    chat = await find.chat(session, query.user_id, query.chat_id)
    question = await session.get(Message, query.question) if query.question else None
    if question is not None and question.chat_id == chat.id:
        await _forget(session, chat, await _refused(session, question, query.withdrawn))
        if query.said and not await _answered(session, question):
            await _forget(session, chat, [question.id])
            await _without_title(session, chat, question)
    if chat.number is not None and not await _spoken(session, chat):
        await _close(session, chat)
    return Ok()


async def _refused(
    session: AsyncSession, question: Message, withdrawn: tuple[str, ...]
) -> list[str]:
    """The answers that nobody has begun, because they were refused or withdrawn with such."""
    refused = (Run.state == "failed") & Run.error_code.in_(code.value for code in REFUSALS)
    taken_out = Run.state.in_(ENDED) & Run.rid.in_(withdrawn)
    reply = aliased(Message)
    below = exists().where(reply.parent_id == Run.rid)
    found = await session.scalars(
        select(Run.rid)
        .join(Message, Message.id == Run.rid)
        .where(Message.parent_id == question.id, Run.attempts == 0, refused | taken_out, ~below)
    )
    return list(found)


async def _forget(session: AsyncSession, chat: Chat, ids: list[str]) -> None:
    """Delete messages that nothing hangs under. Their runs stay, as those of no chat."""
    await session.execute(delete(Report).where(Report.message_id.in_(ids)))
    await session.execute(delete(Vote).where(Vote.message_id.in_(ids)))
    await session.execute(delete(Evaluation).where(Evaluation.message_id.in_(ids)))
    await session.execute(delete(Message).where(Message.id.in_(ids)))
    await session.execute(update(Run).where(Run.rid.in_(ids)).values(chat_id=None))
    if chat.active_tail in ids:
        chat.active_tail = None


async def _answered(session: AsyncSession, question: Message) -> bool:
    wanted = select(Message.id).where(Message.parent_id == question.id).limit(1)
    return await session.scalar(wanted) is not None


async def _spoken(session: AsyncSession, chat: Chat) -> bool:
    wanted = select(Message.id).where(Message.chat_id == chat.id).limit(1)
    return await session.scalar(wanted) is not None


async def _without_title(session: AsyncSession, chat: Chat, question: Message) -> None:
    """The first question gave the chat its title, which goes with it."""
    own = question.parent_id is None and chat.title == tree.title(question.content or "")
    if own and not await _spoken(session, chat):
        chat.title = None


async def _close(session: AsyncSession, chat: Chat) -> None:
    """Delete an empty chat, without a mark: should a request be on its way, it comes back."""
    await session.execute(delete(Share).where(Share.chat_id == chat.id))
    await session.delete(chat)
