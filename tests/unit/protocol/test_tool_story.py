"""What the log of a run that calls tools means, event by event."""

import pytest

from mesh.protocol.events import Usage
from mesh.protocol.request import Message, ToolCall
from mesh.protocol.tool_story import ToolStory, rid_of
from mesh.protocol.tools import ActionDone, ActionsNeeded, RunBegun, RunOver, ToolEvent, ToolRun

RUN = ToolRun(
    id="r1",
    gateway="gw1",
    tenant="alice",
    model="echo",
    messages=(Message(role="user", content="weather and time?"),),
    created=1.0,
    patience=600.0,
    deadline=3601.0,
)
BEGUN = RunBegun(uid="b", run=RUN)
A, B = (ToolCall(id=name, name=f"tool_{name}", arguments="{}") for name in ("a", "b"))
NEEDED = ActionsNeeded(
    uid="n", content="Let me look.", calls=(A, B), deadline=601.0, usage=Usage(prompt_tokens=3)
)
OVER = RunOver(uid="o", state="completed", text="Rain at noon.", usage=Usage(prompt_tokens=9))


def done(call: ToolCall, output: str, uid: str = "d") -> ActionDone:
    return ActionDone(uid=uid, call=call.id, output=output)


def told(*events: ToolEvent, user: str = "gateway") -> ToolStory:
    story = ToolStory()
    for seq, event in enumerate(events, 1):
        story.apply(event, user, seq)
    return story


def test_it_waits_until_every_call_has_an_outcome() -> None:
    assert told(BEGUN).state == "in_progress"
    assert told(BEGUN, NEEDED).state == "requires_action"
    assert told(BEGUN, NEEDED).pending == (A, B)
    assert told(BEGUN, NEEDED, done(B, "noon")).pending == (A,)
    assert told(BEGUN, NEEDED, done(B, "noon"), done(A, "rain")).state == "in_progress"


def test_the_model_is_asked_again_with_the_calls_and_what_came_of_them_in_order() -> None:
    story = told(BEGUN, NEEDED, done(B, "noon"), done(A, "rain"))
    assert story.messages() == (
        *RUN.messages,
        Message(role="assistant", content="Let me look.", tool_calls=(A, B)),
        Message(role="tool", content="rain", tool_call_id="a"),
        Message(role="tool", content="noon", tool_call_id="b"),
    )
    assert story.rid == rid_of("r1", 1) != told(BEGUN).rid == rid_of("r1", 0)


def test_the_first_outcome_of_a_call_counts_and_others_of_none_do_not() -> None:
    story = told(
        BEGUN,
        NEEDED,
        done(A, "rain"),
        done(A, "sun"),
        done(ToolCall(id="c", name="x", arguments="{}"), "?"),
    )
    assert {call: event.output for call, event in story.done.items()} == {"a": "rain"}


@pytest.mark.parametrize("late", [BEGUN, NEEDED, done(A, "rain"), RunOver(uid="x", state="failed")])
def test_what_comes_after_the_end_counts_for_nothing(late: ToolEvent) -> None:
    story = told(BEGUN, NEEDED, OVER, late)
    assert (story.state, story.over, story.done, len(story.steps)) == ("completed", OVER, {}, 1)
    assert story.pending == ()
    assert story.last == 4, "but it is what the next one has to follow"


def test_only_gateways_tell_it() -> None:
    assert told(BEGUN, NEEDED, user="w1").begun is None
    story = told(BEGUN)
    story.apply(OVER, "w1", 2)
    assert story.state == "in_progress"


def test_an_event_that_is_told_twice_counts_once() -> None:
    story = told(BEGUN, NEEDED)
    story.apply(NEEDED, "gateway", 2)
    story.apply(NEEDED, "gateway", 3)
    assert len(story.steps) == 1


def test_its_tokens_are_those_of_all_askings() -> None:
    assert told(BEGUN, NEEDED, done(A, "x"), done(B, "y"), OVER).usage().prompt_tokens == 12
