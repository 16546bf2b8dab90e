"""Chats that their users know by numbers, as `POST /generate` keeps them."""

from secrets import token_hex

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol import chats as wire
from mesh.protocol.numbered import ListNumbered, NumberedChat, NumberedChats, OpenChat
from mesh.store import view
from mesh.store.models import Chat, Message, Run
from mesh.store.queries import find
from mesh.store.queries.paging import check_limit
from mesh.store.refusals import no_such

LATEST = 500
"""Characters shown of what was said last in a chat."""

MOST_LISTED = 1_000


async def open_chat(session: AsyncSession, query: OpenChat, now: float) -> wire.Chat:
    await find.user(session, query.user_id)
    mine = select(Chat).where(Chat.user_id == query.user_id)
    chat = await session.scalar(mine.where(Chat.number == query.number))
    if chat is None and query.known_only:
        raise no_such("chat")
    if chat is None:
        chat = Chat(
            id=token_hex(16),
            user_id=query.user_id,
            title=None,
            hidden=False,
            allow_data_use=True,
            active_tail=None,
            created_at=now,
            modified_at=now,
            number=query.number or await _next(session, query.user_id),
        )
        session.add(chat)
    return view.chat(chat)


async def list_numbered(session: AsyncSession, query: ListNumbered) -> NumberedChats:
    check_limit(query.limit, MOST_LISTED)
    newest = (
        select(Message.id)
        .where(Message.chat_id == Chat.id)
        .outerjoin(Run, Run.rid == Message.id)
        .where(func.coalesce(Message.content, Run.text, "") != "")
        .order_by(Message.created_at.desc(), Message.id.desc())
        .limit(1)
        .correlate(Chat)
        .scalar_subquery()
    )
    said = func.substr(func.coalesce(Message.content, Run.text), 1, LATEST)
    wanted = (
        select(Chat.number, Chat.id, said)
        .join(Message, Message.id == newest)
        .outerjoin(Run, Run.rid == Message.id)
        .where(Chat.user_id == query.user_id, Chat.number.is_not(None))
        .order_by(Chat.number.desc())
        .limit(query.limit)
    )
    found = (await session.execute(wanted)).all()
    return NumberedChats(
        chats=tuple(
            NumberedChat(number=number, chat_id=chat_id, latest=latest)
            for number, chat_id, latest in reversed(found)
        ),
        next=await _next(session, query.user_id),
    )


async def _next(session: AsyncSession, user_id: str) -> int:
    """The number after the highest that is taken."""
    highest = select(func.max(Chat.number)).where(Chat.user_id == user_id)
    return (await session.scalar(highest) or 0) + 1
