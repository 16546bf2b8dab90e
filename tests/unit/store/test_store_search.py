"""Searching one's chats: by title and by what was said, in any case, and nobody else's."""

import pytest

from mesh.protocol.accounts import User
from mesh.protocol.chats import Chat, ChatHits, DeleteChat, Ok, SearchChats, UpdateChat
from mesh.protocol.errors import ErrorCode
from mesh.store.queries.search import excerpt
from tests.unit.store import story
from tests.unit.store.conftest import Store


async def told(store: Store, user: User, question: str, answer: str = "I see.") -> Chat:
    """A chat of one question and its answer."""
    chat = await store.chat(user)
    place = story.turn(chat.id, user.id, story.said(f"q-{chat.id}", question))
    story.answered(store.log, f"a-{chat.id}", place, story.done(answer))
    await store.follower.caught_up()
    return chat


async def found(store: Store, user: User, words: str, hidden: bool = False) -> list[str]:
    query = SearchChats(user_id=user.id, words=words, include_hidden=hidden)
    return [hit.chat.id for hit in (await store.ask(query, ChatHits)).hits]


async def test_questions_answers_and_titles_are_searched(store: Store) -> None:
    user = await store.user()
    asked = await told(store, user, "Where do puffins nest?")
    answered = await told(store, user, "And they?", "Puffins nest in burrows.")
    named = await told(store, user, "Hello")
    await store.ask(UpdateChat(user_id=user.id, chat_id=named.id, title="All about puffins"), Chat)
    await told(store, user, "What is a quark?")
    assert set(await found(store, user, "puffin")) == {asked.id, answered.id, named.id}
    assert set(await found(store, user, "burrows puffins")) == {answered.id}
    assert await found(store, user, "walrus") == []


@pytest.mark.parametrize("words", ["äpfel", "ÄPFEL", "строка", "СТРОКА", "苹果", "100%", "a_b"])
async def test_case_and_alphabet_do_not_matter_and_signs_are_signs(
    store: Store, words: str
) -> None:
    user = await store.user()
    chat = await told(store, user, "Äpfel, Строка, 苹果, 100% und a_b")
    await told(store, user, "Apfel, 1000 und axb")
    assert await found(store, user, words) == [chat.id]


async def test_what_is_hidden_deleted_or_somebody_elses_is_not_found(store: Store) -> None:
    user, other = await store.user(), await store.user("bob")
    hidden, gone = await told(store, user, "puffins"), await told(store, user, "puffins")
    await told(store, other, "puffins")
    await store.ask(UpdateChat(user_id=user.id, chat_id=hidden.id, hidden=True), Chat)
    await store.ask(DeleteChat(user_id=user.id, chat_id=gone.id), Ok)
    assert await found(store, user, "puffins") == []
    assert await found(store, user, "puffins", hidden=True) == [hidden.id]


async def test_a_chat_is_found_once_with_the_first_place(store: Store) -> None:
    user = await store.user()
    chat = await told(store, user, f"{'word ' * 40}puffins here {'more ' * 60}", "Puffins, yes.")
    query = SearchChats(user_id=user.id, words="PUFFINS here")
    [hit] = (await store.ask(query, ChatHits)).hits
    assert (hit.chat.id, hit.message_id) == (chat.id, f"q-{chat.id}")
    assert hit.excerpt.startswith("…") and hit.excerpt.endswith("…")
    assert "puffins here" in hit.excerpt and len(hit.excerpt) < 180


async def test_nothing_and_too_much_cannot_be_looked_for(store: Store) -> None:
    user = await store.user()
    bad = [
        SearchChats(user_id=user.id, words=" "),
        SearchChats(user_id=user.id, words="a", limit=0),
    ]
    assert [await store.refusal(query) for query in bad] == [ErrorCode.BAD_REQUEST] * 2


@pytest.mark.parametrize("text", ["", "x", "a" * 500, "one\ntwo  three"])
def test_an_excerpt_is_one_line(text: str) -> None:
    assert "\n" not in excerpt(text, "two") and len(excerpt(text, "two")) <= 170
