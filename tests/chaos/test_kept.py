"""The checker against the database: whatever differs from the log is noticed. Pure."""

from math import inf, nextafter
from typing import Any

import pytest

from mesh.protocol.chats import WorkParameters
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Failed
from mesh.store import models
from mesh.store.usage import UsageDay
from tests.chaos.by_log import row_of, used_by
from tests.chaos.checker import Verdict, check
from tests.chaos.kept import Kept, Row, Said, Spent, Used
from tests.chaos.made_up import ASKED, ENDED, TIMINGS, story
from tests.chaos.plan import Ask
from tests.chaos.story import Story

STORY = story(60, holders=("w1", "w2"), chat=True, stop_asked=ASKED + 1.5)
ASK = Ask(1, 0.0, "reader", 60, 5)
END = STORY.run.end
assert END is not None and END.seal is not None

ROW = Row(
    chat_id="c",
    tenant="t",
    key="",
    client=None,
    client_user=None,
    model="echo",
    parameters=WorkParameters(model="echo"),
    trace="",
    reply="gw1",
    created_at=ASKED,
    deadline=ASKED + 120,
    state="done",
    attempts=2,
    worker="w2",
    inc="a",
    claimed_at=ASKED + 1,
    cancel_asked_at=ASKED + 1.5,
    ended_at=ENDED,
    text=STORY.run.text,
    finish="length",
    truncated=0,
    error_code=None,
    error=None,
    prompt_tokens=3,
    completion_tokens=60,
    cached_tokens=0,
    queue_seconds=TIMINGS.queue,
    first_token_seconds=TIMINGS.first_token,
    generate_seconds=TIMINGS.generate,
    pieces=60,
    text_checksum=END.seal.text,
    ids_checksum=END.seal.ids,
)
QUESTION = Said("c", None, "prompter", ASK.prompt, ASKED, "u")
ANSWER = Said("c", "q", "assistant", None, nextafter(ASKED, inf), "u")
SAID = {"q": QUESTION, "r1": ANSWER}
SPENT, USED = Spent("1970-01-01", "t", "", "echo"), Used(1, 0, 3, 60, 0)


def kept(
    rows: dict[str, Row] | None = None,
    said: dict[str, Said] | None = None,
    used: dict[Spent, Used] | None = None,
) -> Kept:
    """A database that has what the log has, but for what is given."""
    return Kept(
        {"r1": ROW} if rows is None else rows,
        SAID if said is None else said,
        {SPENT: USED} if used is None else used,
    )


def held_against(found: Kept, told: Story = STORY) -> Verdict:
    return check([told], [ASK], [], found)


def only_wrong(verdict: Verdict, why: str) -> bool:
    """Whether this is the one thing that is wrong."""
    assert verdict.counts["wrong"] == len(verdict.said) == 1, verdict.said
    return why in verdict.said[0]


def test_exactly_the_log_is_clean() -> None:
    assert held_against(kept()).clean
    assert kept().settled([STORY])


@pytest.mark.parametrize("name", Row._fields)
def test_a_row_that_differs_in_anything_is_wrong(name: str) -> None:
    other: Any = {name: "another"}
    assert only_wrong(held_against(kept({"r1": ROW._replace(**other)})), f" {name} ")


@pytest.mark.parametrize("name", ["created_at", "claimed_at", "ended_at", "cancel_asked_at"])
def test_a_time_that_differs_at_all_is_wrong(name: str) -> None:
    later: Any = {name: nextafter(getattr(ROW, name), inf)}
    assert only_wrong(held_against(kept({"r1": ROW._replace(**later)})), f" {name} ")


@pytest.mark.parametrize("id", SAID)
@pytest.mark.parametrize("name", Said._fields)
def test_a_message_that_differs_in_anything_is_wrong(id: str, name: str) -> None:
    other: Any = {name: -1.0 if name == "created_at" else "another"}
    found = held_against(kept(said=SAID | {id: SAID[id]._replace(**other)}))
    assert found.said and f" {name} " in found.said[0]


@pytest.mark.parametrize("id", SAID)
def test_a_message_that_is_missing_is_lost(id: str) -> None:
    left = {each: said for each, said in SAID.items() if each != id}
    assert held_against(kept(said=left)).counts["lost"] == 1


def test_a_question_is_later_than_what_it_follows_on() -> None:
    before = Said("c", None, "prompter", "Hm", ASKED + 9, "u")
    below = story(60, holders=("w1", "w2"), chat=True, stop_asked=ASKED + 1.5, parent="p")
    asked = nextafter(ASKED + 9, inf)
    later = QUESTION._replace(parent_id="p", created_at=asked)
    answer = ANSWER._replace(created_at=nextafter(asked, inf))
    said = {"p": before, "q": later, "r1": answer}
    assert held_against(kept(said=said), below).clean
    early = said | {"q": later._replace(created_at=ASKED)}
    assert not held_against(kept(said=early), below).clean


def test_a_row_that_is_missing_is_lost() -> None:
    assert held_against(kept({})).counts["lost"] == 1
    assert not kept({}).settled([STORY])


def test_what_the_log_does_not_have_is_wrong() -> None:
    assert only_wrong(held_against(kept({"r1": ROW, "r2": ROW})), "the database has r2")
    assert only_wrong(held_against(kept(said=SAID | {"r2": ANSWER})), "the database has r2")
    assert held_against(kept(said=SAID | {"p": QUESTION})).clean, "people may say more"


@pytest.mark.parametrize("name", Used._fields)
def test_what_is_charged_for_is_what_was_said(name: str) -> None:
    other: Any = {name: 7}
    found = held_against(kept(used={SPENT: USED._replace(**other)}))
    assert only_wrong(found, "1970-01-01/t//echo")


@pytest.mark.parametrize("name", Spent._fields)
def test_it_is_charged_to_who_asked(name: str) -> None:
    other: Any = {name: "x"}
    assert held_against(kept(used={SPENT._replace(**other): USED})).counts["wrong"] == 2


REFUSED = story(0, Failed(uid="end", code=ErrorCode.QUEUE_FULL), holders=(), chat=True)


def test_what_was_refused_may_have_left_its_chat() -> None:
    row, used = row_of(REFUSED), used_by([REFUSED])

    def wrong(row: Row, said: dict[str, Said]) -> int:
        return held_against(Kept({"r1": row}, said, used), REFUSED).counts["wrong"]

    assert wrong(row, SAID) == 0
    assert wrong(row._replace(chat_id=None), {}) == 0
    assert wrong(row, {}) == 1 == wrong(row._replace(chat_id=None), SAID)
    begun = Kept({"r1": ROW._replace(chat_id=None)}, {}, {SPENT: USED})
    assert held_against(begun).counts["lost"] == 2, "and nothing else may"


def test_a_failure_is_kept_with_its_code_and_a_sentence() -> None:
    failed = row_of(story(2, Failed(uid="end", code=ErrorCode.WORKER_LOST)))
    assert (failed.state, failed.error_code, failed.finish) == ("failed", "worker_lost", None)
    assert failed.error == ErrorCode.WORKER_LOST.sentence
    told = row_of(story(2, Failed(uid="end", code=ErrorCode.WORKER_LOST, detail="It is gone.")))
    assert told.error == "It is gone."


def test_what_is_charged_for_is_added_up() -> None:
    failed = story(2, Failed(uid="end", code=ErrorCode.WORKER_LOST))
    assert used_by([failed, STORY]) == {SPENT: Used(2, 1, 6, 62, 0)}


def test_what_is_still_written_is_not_settled() -> None:
    assert not kept({"r1": ROW._replace(state="running")}).settled([STORY])


@pytest.mark.parametrize(
    ("table", "fields"),
    [
        (models.Run, {"rid", *Row._fields}),
        (models.Message, {"id", *Said._fields} - {"user_id"}),
        (UsageDay, {*Spent._fields, *Used._fields}),
    ],
)
def test_nothing_that_is_kept_is_left_out(table: type[models.Base], fields: set[str]) -> None:
    assert set(table.__table__.columns.keys()) == fields
