"""Which of several answers to one message its reader found best."""

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol.chats import Ok
from mesh.protocol.errors import ErrorCode
from mesh.protocol.evaluations import EvaluateMessage
from mesh.store.models import Evaluation, Message
from mesh.store.queries import find
from mesh.store.refusals import NotYet, bad

FOREIGN = "inferior_message_ids may name other answers to the same message only."


async def evaluate_message(session: AsyncSession, query: EvaluateMessage, now: float) -> Ok:
    """Replaces what was said of this answer before, and what contradicts it."""
    best = await find.message(session, query.user_id, query.chat_id, query.message_id)
    if best.role != "assistant":
        raise bad("Only answers can be compared.", "message_id")
    worse = set(query.inferior_message_ids)
    if not worse <= await _siblings(session, best):
        raise NotYet(ErrorCode.BAD_REQUEST, FOREIGN, param="inferior_message_ids")
    contrary = and_(Evaluation.message_id.in_(worse), Evaluation.inferior_id == best.id)
    old = or_(Evaluation.message_id == best.id, contrary)
    await session.execute(delete(Evaluation).where(old))
    session.add_all(
        Evaluation(message_id=best.id, inferior_id=each, created_at=now) for each in worse
    )
    return Ok()


async def _siblings(session: AsyncSession, answer: Message) -> set[str]:
    wanted = select(Message.id).where(
        Message.chat_id == answer.chat_id,
        Message.parent_id == answer.parent_id,
        Message.role == "assistant",
        Message.id != answer.id,
    )
    return set(await session.scalars(wanted))
