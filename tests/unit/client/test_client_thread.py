"""The branch one is talking on."""

from datetime import datetime

import pytest

from mesh_client.errors import MeshClientError
from mesh_client.events import Failed, Finished
from mesh_client.objects import Message, MessageState
from mesh_client.thread import Thread


def question(id: str, parent: str | None = None) -> Message:
    return Message(id=id, role="prompter", state="manual", parent_id=parent, content=id)


def answer(id: str, parent: str, state: MessageState = "complete") -> Message:
    return Message(id=id, role="assistant", state=state, parent_id=parent)


TWO_RETRIES = [question("q1"), answer("a1", "q1"), answer("b1", "q1"), question("q2", "a1")]


def ids(thread: Thread) -> list[str]:
    return [message.id for message in thread.branch()]


def test_an_empty_chat_has_no_branch_and_nothing_to_retry() -> None:
    thread = Thread()
    assert (thread.branch(), thread.last_answer(), thread.running()) == ([], None, None)
    with pytest.raises(MeshClientError, match="ask one"):
        thread.last_question()


def test_the_branch_is_the_newest_one_unless_a_tail_is_named() -> None:
    assert ids(Thread(TWO_RETRIES)) == ["q1", "a1", "q2"]
    assert ids(Thread(TWO_RETRIES, tail="b1")) == ["q1", "b1"]


def test_a_tail_below_which_others_went_on_leads_to_their_end() -> None:
    assert ids(Thread(TWO_RETRIES, tail="a1")) == ["q1", "a1", "q2"]


def test_of_several_that_go_on_from_a_tail_the_newest_is_followed() -> None:
    edited = [*TWO_RETRIES, answer("a2", "q2"), question("q3", "a1"), answer("a3", "q3")]
    assert ids(Thread(edited, tail="a1")) == ["q1", "a1", "q3", "a3"]


def test_messages_are_put_in_order_of_creation() -> None:
    times = [datetime(2025, 1, day) for day in (3, 1, 2)]
    made = [Message(id=f"q{t.day}", role="prompter", state="manual", created_at=t) for t in times]
    assert Thread(made).tail == "q3"


@pytest.mark.parametrize("state", ["complete", "cancelled", "aborted_by_worker", "timeout"])
def test_any_ended_answer_can_be_gone_on_from(state: MessageState) -> None:
    thread = Thread([question("q1"), answer("a1", "q1", state)])
    last = thread.last_answer()
    assert last is not None and last.id == "a1"


def test_a_running_answer_is_found_and_ends() -> None:
    thread = Thread()
    thread.add(question("q1"), answer("a1", "q1", "in_progress"))
    running = thread.running()
    assert running is not None and running.id == "a1"
    assert thread.last_answer() is None
    thread.end("a1", Finished("Hi", 1, message=answer("a1", "q1")))
    assert thread.running() is None and thread.tail == "a1"


def test_a_failure_that_came_without_its_message_does_not_block_the_branch() -> None:
    thread = Thread()
    thread.add(question("q1"), answer("a1", "q1", "in_progress"))
    thread.end("a1", Failed("engine_failed", "No.", "Hal"))
    last = thread.last_answer()
    assert last is not None and (last.content, last.state) == ("Hal", "aborted_by_worker")


def test_siblings_are_retries_or_edits() -> None:
    thread = Thread([*TWO_RETRIES, question("q3", "a1"), question("r1")])
    assert [message.id for message in thread.siblings("a1")] == ["a1", "b1"]
    assert [message.id for message in thread.siblings("q2")] == ["q2", "q3"]
    assert [message.id for message in thread.siblings("q1")] == ["q1", "r1"]
    assert len(thread.messages()) == 6


def test_switching_leads_to_the_newest_end_through_a_message() -> None:
    thread = Thread(TWO_RETRIES)
    thread.switch("b1")
    assert ids(thread) == ["q1", "b1"]
    thread.switch("a1")
    assert ids(thread) == ["q1", "a1", "q2"]
    with pytest.raises(MeshClientError, match="no such message"):
        thread.switch("x")
