"""Searches a user's chats for words, in titles and in what was said. Reads the texts themselves:

an index would keep deleted words, and know where words end only in some languages.
"""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol.chats import ChatHit, ChatHits, SearchChats
from mesh.store import view
from mesh.store.models import Chat, Message, Run
from mesh.store.queries.paging import check_limit
from mesh.store.refusals import bad

MOST_WORDS = 10
BEFORE, AFTER = 40, 120
"""Characters of an excerpt before and after the place that was found."""


async def search_chats(session: AsyncSession, query: SearchChats) -> ChatHits:
    """Raises MeshError (bad_request)."""
    words = query.words.lower().split()[:MOST_WORDS]
    if not words:
        raise bad("Give at least one word to look for.", "words")
    check_limit(query.limit)
    hits = {hit.chat.id: hit for hit in await _titled(session, query, words)}
    hits |= {hit.chat.id: hit for hit in await _said(session, query, words)}
    newest = sorted(hits.values(), key=lambda hit: -hit.chat.modified_at)
    return ChatHits(hits=tuple(newest[: query.limit]))


async def _titled(session: AsyncSession, query: SearchChats, words: list[str]) -> list[ChatHit]:
    wanted = select(Chat).where(_mine(query), _all(Chat.title, words))
    found = await session.scalars(wanted.order_by(Chat.modified_at.desc()).limit(query.limit))
    return [ChatHit(chat=view.chat(chat)) for chat in found]


async def _said(session: AsyncSession, query: SearchChats, words: list[str]) -> list[ChatHit]:
    """Each chat once, with the first of its messages that has all words."""
    text = func.coalesce(Run.text, Message.content)
    place = func.row_number().over(
        partition_by=Message.chat_id, order_by=(Message.created_at, Message.id)
    )
    found = (
        select(Message.id, Message.chat_id, text.label("text"), place.label("place"))
        .join(Chat, Chat.id == Message.chat_id)
        .outerjoin(Run, Run.rid == Message.id)
        .where(_mine(query), _all(text, words))
        .subquery()
    )
    wanted = (
        select(Chat, found.c.id, found.c.text)
        .join(found, found.c.chat_id == Chat.id)
        .where(found.c.place == 1)
        .order_by(Chat.modified_at.desc())
        .limit(query.limit)
    )
    return [
        ChatHit(chat=view.chat(chat), message_id=id, excerpt=excerpt(said, words[0]))
        for chat, id, said in await session.execute(wanted)
    ]


def _mine(query: SearchChats) -> ColumnElement[bool]:
    mine = Chat.user_id == query.user_id
    return mine if query.include_hidden else and_(mine, Chat.hidden.is_(False))


def _all(text: SQLColumnExpression[str | None], words: Iterable[str]) -> ColumnElement[bool]:
    """Whether a text has all of the words in it."""
    return and_(*(func.lower(text).contains(word, autoescape=True) for word in words))


def excerpt(text: str, word: str) -> str:
    """A line of a text around the first place of a word."""
    at = max(text.lower().find(word), 0)
    start = max(0, at - BEFORE)
    if start:
        start = text.find(" ", start, at) + 1 or start
    cut = text[start : at + AFTER]
    return " ".join(f"{'…' if start else ''}{cut}{'…' if at + AFTER < len(text) else ''}".split())
