"""Chats as wholes: create, list, read, change, hide, delete. Their messages: `messages.py`."""

from secrets import token_hex

from sqlalchemy import Select, delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol import chats as wire
from mesh.protocol.chats import (
    ChatPage,
    ChatTree,
    CreateChat,
    DeleteChat,
    GetChat,
    HideAllChats,
    ListChats,
    Ok,
    UpdateChat,
)
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.store import view
from mesh.store.models import (
    Chat,
    DeletedChat,
    Evaluation,
    Message,
    Report,
    Run,
    Share,
    Vote,
)
from mesh.store.queries import find, once
from mesh.store.queries.messages import page
from mesh.store.queries.paging import check_limit
from mesh.store.refusals import bad
from mesh.store.tree import TITLE_LENGTH


async def create_chat(session: AsyncSession, query: CreateChat, now: float) -> wire.Chat:
    """A chat that was deleted is not made again by its key."""
    _check_title(query.title)
    await find.user(session, query.user_id)
    known = await once.made(session, Chat, query.id)
    if known is not None:
        return view.chat(known)
    if await once.made(session, DeletedChat, query.id) is not None:
        detail = "The chat of this Idempotency-Key was deleted; begin one under another key."
        raise MeshError(ErrorCode.CONFLICT, detail)
    chat = Chat(
        id=query.id or token_hex(16),
        user_id=query.user_id,
        title=query.title,
        hidden=False,
        allow_data_use=True,
        created_at=now,
        modified_at=now,
    )
    session.add(chat)
    return view.chat(chat)


async def list_chats(session: AsyncSession, query: ListChats) -> ChatPage:
    """Newest first by (created_at, id), so that equal times keep one order on every page."""
    if query.after is not None and query.before is not None:
        raise bad("Give one of after and before, not both.")
    check_limit(query.limit)
    wanted = select(Chat).where(Chat.user_id == query.user_id).limit(query.limit + 1)
    if not query.include_hidden:
        wanted = wanted.where(Chat.hidden.is_(False))
    if query.before is not None:
        return await _newer(session, query, wanted, query.before)
    return await _older(session, query, wanted, query.after)


async def _older(
    session: AsyncSession, query: ListChats, wanted: Select[Chat], after: str | None
) -> ChatPage:
    wanted = wanted.order_by(Chat.created_at.desc(), Chat.id.desc())
    if after is not None:
        cursor = await place(session, after, query.user_id)
        wanted = wanted.where(tuple_(Chat.created_at, Chat.id) < cursor)
    found = list(await session.scalars(wanted))
    page, more = found[: query.limit], len(found) > query.limit
    return ChatPage(
        chats=tuple(view.chat(chat) for chat in page),
        next=page[-1].id if more else None,
        prev=page[0].id if page and after is not None else None,
    )


async def _newer(
    session: AsyncSession, query: ListChats, wanted: Select[Chat], before: str
) -> ChatPage:
    cursor = await place(session, before, query.user_id)
    wanted = wanted.where(tuple_(Chat.created_at, Chat.id) > cursor)
    found = list(await session.scalars(wanted.order_by(Chat.created_at, Chat.id)))
    page, more = found[: query.limit][::-1], len(found) > query.limit
    return ChatPage(
        chats=tuple(view.chat(chat) for chat in page),
        next=page[-1].id if page else None,
        prev=page[0].id if more else None,
    )


async def place(session: AsyncSession, chat_id: str, user_id: str = "") -> tuple[float, str]:
    """The place of a chat in the list; it keeps its place for a while after it was deleted.

    user_id: whose it has to be, "": anybody's. Raises MeshError (bad_request).
    """
    for kind in (Chat, DeletedChat):
        row: Chat | DeletedChat | None = await session.get(kind, chat_id)
        if row is not None and user_id in ("", row.user_id):
            return row.created_at, row.id
    raise bad("This cursor leads nowhere; list the chats from the beginning.")


async def get_chat(session: AsyncSession, query: GetChat, now: float) -> ChatTree:
    chat = await find.chat(session, query.user_id, query.chat_id)
    after = None
    if query.after is not None:
        last = await find.message(session, query.user_id, chat.id, query.after)
        after = (last.created_at, last.id)
    messages, more = await page(session, chat, after, now)
    following = messages[-1].id if more else None
    return ChatTree(chat=view.chat(chat), messages=messages, next=following)


async def update_chat(session: AsyncSession, query: UpdateChat) -> wire.Chat:
    _check_title(query.title)
    chat = await find.chat(session, query.user_id, query.chat_id)
    if query.title is not None:
        chat.title = query.title
    if query.hidden is not None:
        chat.hidden = query.hidden
    if query.allow_data_use is not None:
        chat.allow_data_use = query.allow_data_use
    if query.active_thread_tail_message_id is not None:
        tail = await find.message(
            session, query.user_id, chat.id, query.active_thread_tail_message_id
        )
        chat.active_tail = tail.id
    return view.chat(chat)


def _check_title(title: str | None) -> None:
    if title is not None and len(title) > TITLE_LENGTH:
        raise bad(f"A title has at most {TITLE_LENGTH} characters.", "title")


async def hide_all_chats(session: AsyncSession, query: HideAllChats) -> Ok:
    await session.execute(update(Chat).where(Chat.user_id == query.user_id).values(hidden=True))
    return Ok()


async def delete_chat(session: AsyncSession, query: DeleteChat, now: float) -> Ok:
    """Delete a chat and all that hangs on it; leave a mark for the events still to come."""
    chat = await find.chat(session, query.user_id, query.chat_id)
    running = await session.scalars(
        select(Run.rid).where(Run.chat_id == chat.id, Run.ended_at.is_(None))
    )
    unfinished = tuple(running)
    await remove(session, chat, now)
    return Ok(unfinished=unfinished)


async def remove(session: AsyncSession, chat: Chat, now: float) -> None:
    """Delete a chat's rows, whatever hangs on them, and leave the mark."""
    mine = select(Message.id).where(Message.chat_id == chat.id).scalar_subquery()
    await session.execute(delete(Share).where(Share.chat_id == chat.id))
    await session.execute(delete(Report).where(Report.message_id.in_(mine)))
    await session.execute(delete(Vote).where(Vote.message_id.in_(mine)))
    await session.execute(delete(Evaluation).where(Evaluation.message_id.in_(mine)))
    await session.execute(delete(Run).where(Run.chat_id == chat.id))
    await session.execute(delete(Message).where(Message.chat_id == chat.id))
    session.add(
        DeletedChat(id=chat.id, user_id=chat.user_id, created_at=chat.created_at, deleted_at=now)
    )
    await session.delete(chat)
