"""Links to chats: whoever has one reads what was there when it was made, and nothing else."""

from secrets import token_urlsafe

from msgspec.structs import replace
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol import accounts as wire
from mesh.protocol.accounts import GetShared, ListShares, RevokeShare, ShareChat, Shares
from mesh.protocol.chats import ChatMessage, ChatTree, Ok
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.store import view
from mesh.store.models import Chat, Message, Share
from mesh.store.queries import find
from mesh.store.queries.messages import page
from mesh.store.refusals import no_such

MOST = 100
"""Links to one chat."""


async def share_chat(session: AsyncSession, query: ShareChat, now: float) -> wire.Share:
    chat = await find.chat(session, query.user_id, query.chat_id)
    links = select(func.count()).where(Share.chat_id == chat.id)
    if (await session.scalar(links) or 0) >= MOST:
        raise MeshError(ErrorCode.CONFLICT, f"This chat has {MOST} links; revoke one first.")
    row = Share(
        id=token_urlsafe(32),
        chat_id=chat.id,
        title=chat.title,
        active_tail=chat.active_tail,
        created_at=now,
    )
    session.add(row)
    return view.share(row)


async def list_shares(session: AsyncSession, query: ListShares) -> Shares:
    chat = await find.chat(session, query.user_id, query.chat_id)
    wanted = select(Share).where(Share.chat_id == chat.id).order_by(Share.created_at)
    return Shares(shares=tuple(view.share(row) for row in await session.scalars(wanted)))


async def revoke_share(session: AsyncSession, query: RevokeShare) -> Ok:
    chat = await find.chat(session, query.user_id, query.chat_id)
    row = await session.get(Share, query.share_id)
    if row is None or row.chat_id != chat.id:
        raise no_such("link")
    await session.delete(row)
    return Ok()


async def get_shared(session: AsyncSession, query: GetShared, now: float) -> ChatTree:
    """The chat without what its owner thinks of it, now: votes and reports are not shown, nor is
    a later title."""
    link = await session.get(Share, query.share_id)
    if link is None:
        raise no_such("link")
    chat = await session.get_one(Chat, link.chat_id)
    after = None
    if query.after is not None:
        last = await session.get(Message, query.after)
        if last is None or last.chat_id != chat.id:
            raise no_such("message")
        after = (last.created_at, last.id)
    messages, more = await page(session, chat, after, now, until=link.created_at)
    return ChatTree(
        chat=replace(
            view.chat(chat), title=link.title, active_thread_tail_message_id=link.active_tail
        ),
        messages=tuple(_impersonal(message) for message in messages),
        next=messages[-1].id if more else None,
    )


def _impersonal(message: ChatMessage) -> ChatMessage:
    return replace(message, score=0, reports=())
