"""What a refused request has left in a chat is forgotten, and nothing else is."""

import pytest

from mesh.protocol.chats import Chat, ChatPage, ChatTree, GetChat, ListChats, Ok
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancelled, Failed
from mesh.protocol.numbered import OpenChat
from mesh.protocol.taking_back import TakeBack
from tests.unit.store import story
from tests.unit.store.conftest import Store

REFUSED = Failed(uid="f", code=ErrorCode.QUEUE_FULL)


class Told:
    """A chat of a user, and what is said in it."""

    def __init__(self, store: Store, user_id: str, chat: Chat) -> None:
        self.store = store
        self.user_id = user_id
        self.chat = chat

    def asked(
        self, rid: str, question: str, end: Failed | Cancelled | None, parent: str | None = None
    ) -> None:
        """A question and an answer that nobody has claimed."""
        said = story.said(question, "hello", parent)
        turn = story.turn(self.chat.id, self.user_id, said)
        self.store.log.append(story.queued(rid, turn, self.user_id), rid)
        if end is not None:
            self.store.log.append(end, rid)

    async def take_back(self, question: str, said: bool = True, *withdrawn: str) -> None:
        query = TakeBack(
            user_id=self.user_id,
            chat_id=self.chat.id,
            question=question,
            said=said,
            withdrawn=withdrawn,
        )
        await self.store.ask(query, Ok)

    async def tree(self) -> ChatTree:
        return await self.store.ask(GetChat(user_id=self.user_id, chat_id=self.chat.id), ChatTree)

    async def ids(self) -> list[str]:
        return [message.id for message in (await self.tree()).messages]

    async def chats(self) -> list[str]:
        found = await self.store.ask(ListChats(user_id=self.user_id), ChatPage)
        return [chat.id for chat in found.chats]


@pytest.fixture
async def told(store: Store) -> Told:
    user = await store.user()
    return Told(store, user.id, await store.chat(user))


@pytest.fixture
async def numbered(store: Store) -> Told:
    user = await store.user()
    return Told(store, user.id, await store.ask(OpenChat(user_id=user.id), Chat))


async def test_a_refused_question_goes_with_its_answer_and_its_title(told: Told) -> None:
    told.asked("r1", "m1", REFUSED)
    await told.store.follower.caught_up()
    assert (await told.tree()).chat.title == "hello"
    await told.take_back("m1")
    assert await told.ids() == []
    assert (await told.tree()).chat.title is None
    assert await told.chats() == [told.chat.id], "it was begun by itself"


async def test_a_chat_by_number_goes_with_its_only_question(numbered: Told) -> None:
    numbered.asked("r1", "m1", REFUSED)
    await numbered.take_back("m1")
    assert await numbered.chats() == []


async def test_a_chat_by_number_in_which_nothing_was_said_yet_goes(numbered: Told) -> None:
    await numbered.take_back("")
    assert await numbered.chats() == []


async def test_what_was_said_before_stays(numbered: Told) -> None:
    turn = story.turn(numbered.chat.id, numbered.user_id, story.said("m1"))
    story.answered(numbered.store.log, "r1", turn)
    numbered.asked("r2", "m2", REFUSED, "r1")
    await numbered.take_back("m2")
    assert await numbered.ids() == ["m1", "r1"]


async def test_a_question_that_was_there_before_stays_without_the_refused_answer(
    told: Told,
) -> None:
    told.asked("r1", "m1", REFUSED)
    await told.take_back("m1", False)
    assert await told.ids() == ["m1"]


async def test_a_question_that_is_answered_otherwise_stays(told: Told) -> None:
    turn = story.turn(told.chat.id, told.user_id, story.said("m1"))
    story.answered(told.store.log, "r1", turn)
    told.asked("r2", "m1", REFUSED)
    await told.take_back("m1")
    assert await told.ids() == ["m1", "r1"]


@pytest.mark.parametrize(
    ("end", "gone"),
    [
        (REFUSED, True),
        (Failed(uid="f", code=ErrorCode.DEADLINE_EXCEEDED), False),
        (Failed(uid="f", code=ErrorCode.ENGINE_FAILED), False),
        (Cancelled(uid="c"), False),
        (None, False),
    ],
)
async def test_only_what_was_refused_goes(
    told: Told, end: Failed | Cancelled | None, gone: bool
) -> None:
    told.asked("r1", "m1", end)
    await told.take_back("m1")
    assert (await told.ids() == []) is gone


async def test_what_was_withdrawn_with_it_goes_by_name(told: Told) -> None:
    told.asked("r1", "m1", REFUSED)
    told.asked("r2", "m1", Cancelled(uid="c"))
    told.asked("r3", "m1", Cancelled(uid="c"))
    await told.take_back("m1", False, "r2")
    assert await told.ids() == ["m1", "r3"]


async def test_another_ones_chat_is_not_touched(told: Told) -> None:
    told.asked("r1", "m1", REFUSED)
    bob = await told.store.user("bob")
    query = TakeBack(user_id=bob.id, chat_id=told.chat.id, question="m1", said=True)
    assert await told.store.refusal(query) is ErrorCode.NOT_FOUND
    assert await told.ids() == ["m1", "r1"]


async def test_a_log_that_is_read_again_does_not_bring_it_back(told: Told) -> None:
    told.asked("r1", "m1", REFUSED)
    await told.take_back("m1")
    for stored in list(told.store.log.messages):
        told.store.log.put(stored.subject, stored.data)
    await told.store.follower.caught_up()
    assert await told.ids() == []
