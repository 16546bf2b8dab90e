"""What people may say in a chat and what comes of it: the tree, votes, reports (A8-A12)."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from mesh.protocol.chats import (
    AddReport,
    AddUserMessage,
    Chat,
    ChatMessage,
    ChatTree,
    GetChat,
    GetMessage,
    Ok,
    Plan,
    PlanAnswer,
    UpdateChat,
    Vote,
)
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import End
from mesh.protocol.request import Message, Turn
from mesh.settings import StoreSettings
from mesh.store import tree
from tests.unit.store import story
from tests.unit.store.conftest import Store, running
from tests.unit.store.story import BEGAN, MemoryLog


class Place(NamedTuple):
    """A user's chat, and the keyword arguments that name both."""

    store: Store
    user_id: str
    chat_id: str

    @property
    def whose(self) -> dict[str, Any]:
        return {"user_id": self.user_id, "chat_id": self.chat_id}

    def turn(self, id: str, content: str = "hello", parent: str | None = None) -> Turn:
        return story.turn(self.chat_id, self.user_id, story.said(id, content, parent))

    async def say(self, content: str, parent: str | None = None) -> ChatMessage:
        query = AddUserMessage(**self.whose, parent_id=parent, content=content)
        return await self.store.ask(query, ChatMessage)

    async def plan(self, parent: str) -> Plan:
        return await self.store.ask(PlanAnswer(**self.whose, parent_id=parent), Plan)

    async def tree(self) -> ChatTree:
        await self.store.follower.caught_up()
        return await self.store.ask(GetChat(**self.whose), ChatTree)


@pytest.fixture
async def chat(store: Store) -> Place:
    user = await store.user()
    return Place(store, user.id, (await store.chat(user)).id)


def answer(chat: Place, rid: str, turn: Turn, end: End | None = None) -> None:
    story.answered(chat.store.log, rid, turn, end)


# --- what a person says ---------------------------------------------------------------------------


async def test_the_first_message_gives_the_chat_its_title(chat: Place) -> None:
    chat.store.now = BEGAN + 50
    first = await chat.say("What is  a\ngood name for " + "very " * 20 + "long question?")
    assert (first.role, first.state, first.parent_id) == ("prompter", "manual", None)
    shown = (await chat.tree()).chat
    assert shown.title is not None and len(shown.title) <= 100
    assert shown.title.startswith("What is a good name for very very")
    assert shown.title.endswith(" very"), "whole words"
    assert shown.modified_at == BEGAN + 50


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("hello", "hello"),
        ("x" * 300, "x" * 100),
        ("a" * 99 + " b", "a" * 99),
        ("a" * 98 + " b c", "a" * 98 + " b"),
        (" \n ", None),
    ],
)
def test_a_title_is_the_first_whole_words(content: str, title: str | None) -> None:
    assert tree.title(content) == title


async def test_a_title_that_was_chosen_stays(chat: Place) -> None:
    await chat.store.ask(UpdateChat(**chat.whose, title="Mine"), Chat)
    await chat.say("hello")
    assert (await chat.tree()).chat.title == "Mine"


async def test_only_the_first_message_has_no_parent(chat: Place) -> None:
    await chat.say("hello")
    again = AddUserMessage(**chat.whose, content="hello")
    assert await chat.store.refusal(again) == ErrorCode.BAD_REQUEST


async def test_what_has_an_id_of_its_own_is_kept_once(chat: Place) -> None:
    first = AddUserMessage(**chat.whose, content="hello", id="k1")
    said = await chat.store.ask(first, ChatMessage)
    assert said.id == "k1"
    chat.store.now += 50
    assert await chat.store.ask(first, ChatMessage) == said
    for other in ({"content": "Hello"}, {"parent_id": "r1"}):
        assert await chat.store.refusal(replace(first, **other)) == ErrorCode.CONFLICT
    user = await chat.store.user("bob")
    elsewhere = (await chat.store.chat(user)).id
    theirs = replace(first, user_id=user.id, chat_id=elsewhere)
    assert await chat.store.refusal(theirs) == ErrorCode.CONFLICT
    assert (await chat.tree()).messages == (said,)


async def test_a_reply_goes_under_an_answer_of_the_same_chat(chat: Place) -> None:
    first = await chat.say("hello")
    store = chat.store
    for parent in (first.id, "unknown"):
        query = AddUserMessage(**chat.whose, parent_id=parent, content="and?")
        assert await store.refusal(query) == ErrorCode.BAD_REQUEST
    user = await store.user("bob")
    other = Place(store, user.id, (await store.chat(user)).id)
    answer(other, "r1", other.turn("m1"))
    query = AddUserMessage(**chat.whose, parent_id="r1", content="and?")
    assert await store.refusal(query) == ErrorCode.BAD_REQUEST


@pytest.mark.parametrize(
    "end",
    [
        story.done(),
        story.cancelled(),
        story.failed(ErrorCode.DEADLINE_EXCEEDED),
        story.failed(ErrorCode.WORKER_LOST),
    ],
    ids=["complete", "cancelled", "timeout", "aborted"],
)
async def test_however_an_answer_ended_the_branch_goes_on(chat: Place, end: End) -> None:
    answer(chat, "r1", chat.turn("m1"), end)
    reply = await chat.say("go on", "r1")
    plan = await chat.plan(reply.id)
    assert [message.content for message in plan.messages] == ["hello", end.text, "go on"]


async def test_an_answer_that_has_not_ended_cannot_be_replied_to(chat: Place) -> None:
    log = chat.store.log
    log.append(story.queued("r1", chat.turn("m1")), "r1")
    reply = AddUserMessage(**chat.whose, parent_id="r1", content="and?")
    assert await chat.store.refusal(reply) == ErrorCode.BAD_REQUEST
    log.append(story.claim(), "r1")
    assert await chat.store.refusal(reply) == ErrorCode.BAD_REQUEST
    log.append(story.done(), "r1")
    assert await chat.store.ask(reply, ChatMessage), "the end was in the log, if not in the rows"


async def test_an_answer_the_log_has_lost_does_not_block_its_branch(chat: Place) -> None:
    chat.store.log.append(story.queued("r1", chat.turn("m1")), "r1")
    chat.store.now = BEGAN + 600 + 61
    assert (await chat.say("anybody there?", "r1")).parent_id == "r1"


# --- planning an answer ---------------------------------------------------------------------------


async def test_a_plan_has_the_place_and_the_whole_conversation(chat: Place) -> None:
    answer(chat, "r1", chat.turn("m1", "one"), story.done("1"))
    answer(chat, "r1b", chat.turn("m1", "one"), story.done("another branch"))
    answer(chat, "r2", chat.turn("m2", "two", "r1"), story.done("2"))
    third = await chat.say("three", "r2")
    plan = await chat.plan(third.id)
    assert plan.turn.user_message.id == third.id
    assert plan.turn.user_message.parent_id == "r2"
    assert [(said.role, said.content) for said in plan.messages] == [
        ("user", "one"),
        ("assistant", "1"),
        ("user", "two"),
        ("assistant", "2"),
        ("user", "three"),
    ]


async def test_a_message_to_come_is_planned_but_not_kept(chat: Place) -> None:
    answer(chat, "r1", chat.turn("m1", "one"), story.done("1"))
    said = story.said("m2", "two", "r1")
    plan = await chat.store.ask(PlanAnswer(**chat.whose, user_message=said), Plan)
    assert plan.turn == Turn(chat_id=chat.chat_id, user_id=chat.user_id, user_message=said)
    assert plan.messages[-1] == Message(role="user", content="two")
    assert [message.id for message in (await chat.tree()).messages] == ["m1", "r1"]


async def test_plans_that_make_no_sense_are_refused(chat: Place) -> None:
    answer(chat, "r1", chat.turn("m1"))
    said = story.said("m2")
    wrong = {
        PlanAnswer(**chat.whose): ErrorCode.BAD_REQUEST,
        PlanAnswer(**chat.whose, parent_id="m1", user_message=said): ErrorCode.BAD_REQUEST,
        PlanAnswer(**chat.whose, user_message=said): ErrorCode.BAD_REQUEST,
        PlanAnswer(**chat.whose, parent_id="r1"): ErrorCode.BAD_REQUEST,
        PlanAnswer(**chat.whose, parent_id="unknown"): ErrorCode.NOT_FOUND,
        PlanAnswer(user_id="bob", chat_id=chat.chat_id, parent_id="m1"): ErrorCode.NOT_FOUND,
    }
    assert {query: await chat.store.refusal(query) for query in wrong} == wrong


async def test_a_failure_before_the_first_word_leaves_no_gap_in_the_turns(chat: Place) -> None:
    answer(chat, "r1", chat.turn("m1", "one"), story.failed(text=""))
    reply = await chat.say("still there?", "r1")
    assert (await chat.plan(reply.id)).messages == (
        Message(role="user", content="one\n\nstill there?"),
    )


async def test_unfinished_answers_elsewhere_are_named_but_drafts_are_not(chat: Place) -> None:
    log = chat.store.log
    answer(chat, "r1", chat.turn("m1"))
    log.append(story.queued("elsewhere", chat.turn("m2", parent="r1")), "elsewhere")
    log.append(story.queued("draft", chat.turn("m3", parent="r1")), "draft")
    answer(chat, "finished", chat.turn("m4", parent="r1"))
    await chat.store.follower.caught_up()
    assert (await chat.plan("m3")).unfinished == ("elsewhere",)
    said = story.said("m5", parent="r1")
    plan = await chat.store.ask(PlanAnswer(**chat.whose, user_message=said), Plan)
    assert set(plan.unfinished) == {"elsewhere", "draft"}


async def test_a_conversation_beyond_all_bounds_is_refused(
    chat: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.store.queries.answers.LONGEST", 10)
    answer(chat, "r1", chat.turn("m1"))
    said = story.said("m2", "and then?", "r1")
    query = PlanAnswer(**chat.whose, user_message=said)
    assert await chat.store.refusal(query) == ErrorCode.TOO_LARGE


async def test_a_full_chat_takes_no_more_messages(path: Path) -> None:
    limits = StoreSettings(chat_max_messages=4)
    async with running(path, MemoryLog(), limits) as store:
        user = await store.user()
        chat = Place(store, user.id, (await store.chat(user)).id)
        answer(chat, "r1", chat.turn("m1"))
        reply = await chat.say("one more", "r1")
        said = story.said("m9", parent="r1")
        full = PlanAnswer(**chat.whose, user_message=said)
        assert await store.refusal(full) == ErrorCode.CHAT_FULL
        answer(chat, "r2", chat.turn(reply.id, parent="r1"))
        await chat.tree()
        for query in (
            PlanAnswer(**chat.whose, parent_id=reply.id),
            AddUserMessage(**chat.whose, parent_id="r2", content="and?"),
        ):
            assert await store.refusal(query) == ErrorCode.CHAT_FULL


# --- the tree -------------------------------------------------------------------------------------


async def test_retries_and_edits_are_siblings(chat: Place) -> None:
    answer(chat, "r1", chat.turn("m1"))
    answer(chat, "retry", chat.turn("m1"))
    answer(chat, "r2", chat.turn("m2", "and?", "r1"))
    answer(chat, "r3", chat.turn("edit", "and then?", "r1"))
    nodes = (await chat.tree()).messages
    assert {node.id: node.parent_id for node in nodes} == {
        "m1": None,
        "r1": "m1",
        "retry": "m1",
        "m2": "r1",
        "r2": "m2",
        "edit": "r1",
        "r3": "edit",
    }


async def test_parents_come_before_children_even_if_clocks_disagree(chat: Place) -> None:
    log, parent = chat.store.log, None
    for number in range(5):
        turn = chat.turn(f"m{number}", parent=parent)
        log.append(story.queued(f"r{number}", turn, late=-10 * number), f"r{number}")
        log.append(story.done(), f"r{number}")
        parent = f"r{number}"
    nodes = (await chat.tree()).messages
    assert [node.id for node in nodes] == [f"{kind}{n}" for n in range(5) for kind in "mr"]


# --- votes and reports ----------------------------------------------------------------------------


async def test_the_last_vote_counts(chat: Place) -> None:
    answer(chat, "r1", chat.turn("m1"))
    message = GetMessage(**chat.whose, message_id="r1")
    for score in (1, -1, 0):
        await chat.store.ask(Vote(**chat.whose, message_id="r1", score=score), Ok)
        assert (await chat.store.ask(message, ChatMessage)).score == score


async def test_bad_votes_are_refused(chat: Place) -> None:
    answer(chat, "r1", chat.turn("m1"))
    votes = {
        Vote(**chat.whose, message_id="r1", score=2): ErrorCode.BAD_REQUEST,
        Vote(**chat.whose, message_id="m1", score=1): ErrorCode.BAD_REQUEST,
        Vote(**chat.whose, message_id="unknown", score=1): ErrorCode.NOT_FOUND,
        Vote(user_id="bob", chat_id=chat.chat_id, message_id="r1", score=1): ErrorCode.NOT_FOUND,
    }
    assert {query: await chat.store.refusal(query) for query in votes} == votes


async def test_reports_hang_on_their_message(chat: Place) -> None:
    answer(chat, "r1", chat.turn("m1"))
    for reason in ("rude", "wrong"):
        report = AddReport(**chat.whose, message_id="r1", report_type="feedback", reason=reason)
        await chat.store.ask(report, Ok)
    shown = await chat.store.ask(GetMessage(**chat.whose, message_id="r1"), ChatMessage)
    assert [(report.report_type, report.reason) for report in shown.reports] == [
        ("feedback", "rude"),
        ("feedback", "wrong"),
    ]
    long = AddReport(**chat.whose, message_id="r1", report_type="spam", reason="x" * 4_001)
    assert await chat.store.refusal(long) == ErrorCode.BAD_REQUEST
    unknown = AddReport(**chat.whose, message_id="x", report_type="spam", reason="")
    assert await chat.store.refusal(unknown) == ErrorCode.NOT_FOUND


async def test_a_message_cannot_be_reported_without_end(chat: Place) -> None:
    answer(chat, "r1", chat.turn("m1"))
    report = AddReport(**chat.whose, message_id="r1", report_type="spam", reason="again")
    for _ in range(20):
        await chat.store.ask(report, Ok)
    assert await chat.store.refusal(report) == ErrorCode.BAD_REQUEST
