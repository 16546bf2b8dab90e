"""Chats over the store's queries: list with cursor, read, change, hide, delete (A6, A7)."""

from typing import Any

import pytest

from mesh.protocol.accounts import User
from mesh.protocol.chats import (
    Chat,
    ChatPage,
    ChatTree,
    CreateChat,
    DeleteChat,
    GetChat,
    GetRun,
    HideAllChats,
    ListChats,
    Ok,
    UpdateChat,
)
from mesh.protocol.errors import ErrorCode
from mesh.store.queries import paging
from tests.unit.store import story
from tests.unit.store.conftest import Store
from tests.unit.store.story import BEGAN


async def page(store: Store, user: User, **cursor: Any) -> ChatPage:
    return await store.ask(ListChats(user_id=user.id, limit=3, **cursor), ChatPage)


def ids(page: ChatPage) -> list[str]:
    return [chat.id for chat in page.chats]


async def some_chats(store: Store, user: User, count: int) -> list[str]:
    """Their ids, newest first; by twos they were created at the same time."""
    made = []
    for number in range(count):
        store.now = BEGAN + number // 2
        chat = await store.chat(user)
        made.append((chat.created_at, chat.id))
    return [id for _, id in sorted(made, reverse=True)]


async def test_a_new_chat_is_empty_visible_and_without_title(store: Store) -> None:
    user = await store.user()
    chat = await store.chat(user)
    assert chat == Chat(id=chat.id, created_at=BEGAN, modified_at=BEGAN)
    tree = await store.ask(GetChat(user_id=user.id, chat_id=chat.id), ChatTree)
    assert tree == ChatTree(chat=chat, messages=())


async def test_a_chat_of_an_unknown_user_is_not_created(store: Store) -> None:
    assert await store.refusal(CreateChat(user_id="nobody")) == ErrorCode.NOT_FOUND


async def test_the_list_is_walked_by_cursor_in_both_directions(store: Store) -> None:
    user = await store.user()
    every = await some_chats(store, user, 8)
    first = await page(store, user)
    assert ids(first) == every[:3] and first.prev is None and first.next is not None
    second = await page(store, user, after=first.next)
    assert ids(second) == every[3:6] and second.next is not None
    last = await page(store, user, after=second.next)
    assert ids(last) == every[6:] and last.next is None and last.prev is not None
    back = await page(store, user, before=last.prev)
    assert ids(back) == every[3:6] and back.prev is not None and back.next == second.next
    front = await page(store, user, before=back.prev)
    assert ids(front) == every[:3] and front.prev is None


async def test_a_new_chat_does_not_shift_the_pages_that_follow(store: Store) -> None:
    user = await store.user()
    every = await some_chats(store, user, 5)
    first = await page(store, user)
    store.now = BEGAN + 100
    await store.chat(user)
    assert first.next is not None
    assert ids(await page(store, user, after=first.next)) == every[3:]


async def test_a_cursor_outlives_its_chat(store: Store) -> None:
    user = await store.user()
    every = await some_chats(store, user, 5)
    first = await page(store, user)
    assert first.next is not None
    await store.ask(DeleteChat(user_id=user.id, chat_id=first.next), Ok)
    assert ids(await page(store, user, after=first.next)) == every[3:]


async def test_bad_cursors_and_limits_are_refused(store: Store) -> None:
    user, other = await store.user(), await store.user("bob")
    mine, theirs = await store.chat(user), await store.chat(other)
    bad = [
        ListChats(user_id=user.id, after=mine.id, before=mine.id),
        ListChats(user_id=user.id, after="unknown"),
        ListChats(user_id=user.id, before=theirs.id),
        ListChats(user_id=user.id, limit=0),
        ListChats(user_id=user.id, limit=101),
    ]
    assert [await store.refusal(query) for query in bad] == [ErrorCode.BAD_REQUEST] * 5


async def test_hidden_chats_are_listed_on_request_only(store: Store) -> None:
    user, other = await store.user(), await store.user("bob")
    hidden, shown = await store.chat(user), await store.chat(user)
    theirs = await store.chat(other)
    await store.ask(UpdateChat(user_id=user.id, chat_id=hidden.id, hidden=True), Chat)
    assert ids(await page(store, user)) == [shown.id]
    assert set(ids(await page(store, user, include_hidden=True))) == {shown.id, hidden.id}
    await store.ask(HideAllChats(user_id=user.id), Ok)
    assert ids(await page(store, user)) == []
    assert ids(await page(store, other)) == [theirs.id]


async def test_an_update_changes_what_it_names_and_nothing_else(store: Store) -> None:
    user = await store.user()
    chat = await store.chat(user)
    place = story.turn(chat.id, user.id, story.said("m1"))
    story.answered(store.log, "r1", place)
    whose: dict[str, Any] = {"user_id": user.id, "chat_id": chat.id}
    titled = await store.ask(UpdateChat(**whose, title="Plans"), Chat)
    assert (titled.title, titled.allow_data_use) == ("Plans", True)
    await store.ask(UpdateChat(**whose, allow_data_use=False), Chat)
    tail = UpdateChat(**whose, active_thread_tail_message_id="r1")
    assert (await store.ask(tail, Chat)).active_thread_tail_message_id == "r1"
    tree = await store.ask(GetChat(**whose), ChatTree)
    assert (tree.chat.title, tree.chat.allow_data_use, tree.chat.hidden) == ("Plans", False, False)
    assert await store.refusal(UpdateChat(**whose, title="x" * 101)) == ErrorCode.BAD_REQUEST
    gone = UpdateChat(**whose, active_thread_tail_message_id="r2")
    assert await store.refusal(gone) == ErrorCode.NOT_FOUND


async def test_other_peoples_chats_are_not_there(store: Store) -> None:
    user, other = await store.user(), await store.user("bob")
    chat = await store.chat(other)
    for query in (
        GetChat(user_id=user.id, chat_id=chat.id),
        UpdateChat(user_id=user.id, chat_id=chat.id, title="mine now"),
        DeleteChat(user_id=user.id, chat_id=chat.id),
    ):
        assert await store.refusal(query) == ErrorCode.NOT_FOUND
    assert ids(await page(store, other)) == [chat.id]


async def test_a_deleted_chat_leaves_no_words_behind(store: Store) -> None:
    user = await store.user()
    chat, kept = await store.chat(user), await store.chat(user)
    story.answered(store.log, "r1", story.turn(chat.id, user.id, story.said("m1", "a secret")))
    story.answered(store.log, "r2", story.turn(kept.id, user.id, story.said("m2", "harmless")))
    await store.follower.caught_up()
    await store.ask(DeleteChat(user_id=user.id, chat_id=chat.id), Ok)
    assert await store.refusal(GetChat(user_id=user.id, chat_id=chat.id)) == ErrorCode.NOT_FOUND
    assert await store.refusal(GetRun(rid="r1")) == ErrorCode.NOT_FOUND
    rows = await store.rows()
    assert "a secret" not in str(rows)
    assert [run["rid"] for run in rows["runs"]] == ["r2"]


async def test_deleting_a_chat_names_its_unfinished_answers(store: Store) -> None:
    user = await store.user()
    chat = await store.chat(user)
    place = story.turn(chat.id, user.id, story.said("m1"))
    story.answered(store.log, "r1", place)
    store.log.append(story.queued("r2", place), "r2")
    await store.follower.caught_up()
    deleted = await store.ask(DeleteChat(user_id=user.id, chat_id=chat.id), Ok)
    assert deleted.unfinished == ("r2",)


async def test_late_events_do_not_bring_a_deleted_chat_back(store: Store) -> None:
    user = await store.user()
    chat = await store.chat(user)
    place = story.turn(chat.id, user.id, story.said("m1"))
    store.log.append(story.queued("r1", place), "r1")
    await store.follower.caught_up()
    await store.ask(DeleteChat(user_id=user.id, chat_id=chat.id), Ok)
    store.log.append(story.claim(), "r1")
    store.log.append(story.done(), "r1")
    story.answered(store.log, "r2", place)
    store.log.created = "replayed from its beginning"
    await store.follower.caught_up()
    rows = await store.rows()
    assert rows["chats"] == rows["messages"] == rows["runs"] == rows["skipped_events"] == []


async def test_a_chat_too_large_for_one_reply_comes_in_pages(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "PAGE_BYTES", 1_000)
    user = await store.user()
    chat = await store.chat(user)
    parent = None
    for number in range(10):
        question = story.said(f"m{number}", "x" * 100, parent)
        story.answered(store.log, f"r{number}", story.turn(chat.id, user.id, question))
        parent = f"r{number}"
    await store.follower.caught_up()
    found, after, pages = [], None, 0
    while after is not None or not pages:
        query = GetChat(user_id=user.id, chat_id=chat.id, after=after)
        tree = await store.ask(query, ChatTree)
        found += [message.id for message in tree.messages]
        after, pages = tree.next, pages + 1
    assert found == [f"{kind}{number}" for number in range(10) for kind in "mr"]
    assert pages > 3
