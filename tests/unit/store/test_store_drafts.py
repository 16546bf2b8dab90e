"""Drafts and what is thought of them, and chats that are known by numbers (A11, B7)."""

import pytest

from mesh.protocol.chats import (
    Chat,
    ChatTree,
    DeleteChat,
    GetChat,
    Ok,
    Plan,
    PlanAnswer,
)
from mesh.protocol.errors import ErrorCode
from mesh.protocol.evaluations import EvaluateMessage
from mesh.protocol.numbered import ListNumbered, NumberedChats, OpenChat
from mesh.protocol.request import Turn
from mesh.settings import StoreSettings
from tests.unit.store import story
from tests.unit.store.conftest import Store, running


class Drafted:
    """A chat with one question, m1, and three answers to it: r1, r2 and r3."""

    def __init__(self, store: Store, chat: Chat, user_id: str) -> None:
        self.store = store
        self.chat = chat
        self.user_id = user_id

    def turn(self, message: str = "m1", parent: str | None = None) -> Turn:
        return story.turn(self.chat.id, self.user_id, story.said(message, "hello", parent))

    def query(self, best: str, *worse: str) -> EvaluateMessage:
        return EvaluateMessage(
            user_id=self.user_id,
            chat_id=self.chat.id,
            message_id=best,
            inferior_message_ids=worse,
        )

    async def inferior(self) -> dict[str, tuple[str, ...]]:
        """What is said to be worse than what."""
        query = GetChat(user_id=self.user_id, chat_id=self.chat.id)
        found = await self.store.ask(query, ChatTree)
        return {message.id: message.inferior for message in found.messages if message.inferior}


@pytest.fixture
async def drafted(store: Store) -> Drafted:
    user = await store.user()
    made = Drafted(store, await store.chat(user), user.id)
    for rid in ("r1", "r2", "r3"):
        story.answered(store.log, rid, made.turn())
    await store.follower.caught_up()
    return made


async def test_the_last_word_on_drafts_counts(drafted: Drafted) -> None:
    store = drafted.store
    await store.ask(drafted.query("r2", "r1", "r3"), Ok)
    assert await drafted.inferior() == {"r2": ("r1", "r3")}
    await store.ask(drafted.query("r2", "r1", "r3"), Ok)
    assert await drafted.inferior() == {"r2": ("r1", "r3")}
    await store.ask(drafted.query("r3", "r2"), Ok)
    assert await drafted.inferior() == {"r2": ("r1",), "r3": ("r2",)}, "and not r2 above r3"
    await store.ask(drafted.query("r3"), Ok)
    assert await drafted.inferior() == {"r2": ("r1",)}, "taken back"


async def test_only_answers_to_the_same_message_are_compared(drafted: Drafted) -> None:
    store = drafted.store
    story.answered(store.log, "r4", drafted.turn("m2", parent="r1"))
    for query in (
        drafted.query("r1", "r4"),
        drafted.query("r1", "r1"),
        drafted.query("r1", "m1"),
        drafted.query("m1", "r1"),
    ):
        assert await store.refusal(query) is ErrorCode.BAD_REQUEST
    assert await store.refusal(drafted.query("r9")) is ErrorCode.NOT_FOUND
    bob = await store.user("bob")
    foreign = EvaluateMessage(user_id=bob.id, chat_id=drafted.chat.id, message_id="r1")
    assert await store.refusal(foreign) is ErrorCode.NOT_FOUND
    assert await drafted.inferior() == {}


async def test_what_was_thought_goes_with_its_chat(drafted: Drafted) -> None:
    await drafted.store.ask(drafted.query("r2", "r1", "r3"), Ok)
    gone = DeleteChat(user_id=drafted.user_id, chat_id=drafted.chat.id)
    await drafted.store.ask(gone, Ok)
    assert (await drafted.store.rows())["evaluations"] == []


async def test_drafts_need_room_for_all_of_them(drafted: Drafted) -> None:
    async with running(
        drafted.store.database.path, drafted.store.log, StoreSettings(chat_max_messages=6)
    ) as small:
        query = PlanAnswer(user_id=drafted.user_id, chat_id=drafted.chat.id, parent_id="m1")
        two, three = [
            PlanAnswer(
                user_id=query.user_id, chat_id=query.chat_id, parent_id="m1", answers=answers
            )
            for answers in (2, 3)
        ]
        await small.ask(two, Plan)
        assert await small.refusal(three) is ErrorCode.CHAT_FULL


# --- numbers --------------------------------------------------------------------------------------


async def open_chat(store: Store, user_id: str, number: int = 0) -> Chat:
    return await store.ask(OpenChat(user_id=user_id, number=number), Chat)


async def numbered(store: Store, user_id: str) -> tuple[list[tuple[int, str]], int]:
    """What is listed, and the next number."""
    found = await store.ask(ListNumbered(user_id=user_id), NumberedChats)
    return [(chat.number, chat.latest) for chat in found.chats], found.next


async def test_a_number_is_one_chat_for_each_user(store: Store) -> None:
    alice, bob = await store.user("alice"), await store.user("bob")
    first = await open_chat(store, alice.id)
    assert (await open_chat(store, alice.id, 1)).id == first.id
    assert (await open_chat(store, alice.id)).id != first.id
    assert (await open_chat(store, bob.id, 1)).id != first.id
    await open_chat(store, alice.id, 7)
    assert await numbered(store, alice.id) == ([], 8), "nothing was said in any"
    known = OpenChat(user_id=bob.id, number=7, known_only=True)
    assert await store.refusal(known) is ErrorCode.NOT_FOUND
    assert (await numbered(store, bob.id))[1] == 2


async def test_the_list_shows_what_was_said_last(store: Store) -> None:
    user = await store.user()
    await store.chat(user)
    first, second = await open_chat(store, user.id), await open_chat(store, user.id)
    story.answered(store.log, "r1", story.turn(first.id, user.id, story.said("m1", "one")))
    waiting = story.turn(second.id, user.id, story.said("m2", "two " * 500))
    store.log.append(story.queued("r2", waiting, user.id), "r2")
    assert await numbered(store, user.id) == ([(1, "hello back"), (2, ("two " * 500)[:500])], 3)


async def test_a_reply_at_the_end_goes_under_the_newest_answer_that_has_ended(
    store: Store,
) -> None:
    user = await store.user()
    chat = await open_chat(store, user.id)

    async def plan() -> Plan:
        query = PlanAnswer(
            user_id=user.id, chat_id=chat.id, user_message=story.said("new", "more"), at_end=True
        )
        return await store.ask(query, Plan)

    assert (await plan()).turn.user_message.parent_id is None
    story.answered(store.log, "r1", story.turn(chat.id, user.id, story.said("m1", "one")))
    open_turn = story.turn(chat.id, user.id, story.said("m2", "two", "r1"))
    store.log.append(story.queued("r2", open_turn, user.id), "r2")
    planned = await plan()
    assert planned.turn.user_message.parent_id == "r1"
    assert [message.content for message in planned.messages] == ["one", "hello back", "more"]
    assert planned.unfinished == ("r2",)
