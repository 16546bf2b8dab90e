"""What the end of an answer says of its tokens, by what the engine has told of them."""

import pytest

from mesh.protocol.events import Done, Usage
from mesh.protocol.questions import RunStatus
from mesh.protocol.request import Message, Request
from mesh.protocol.run import ids_checksum, text_checksum
from mesh.worker.draft import Draft
from mesh.worker.engines.base import Step
from mesh.worker.gaps import Gaps
from mesh.worker.gate import Gate, has_stopped
from mesh.worker.prompt import BuiltPrompt

REQUEST = Request(
    rid="r1",
    reply="gw1",
    tenant="t",
    model="m",
    messages=(Message(role="user", content="?"),),
    created=0.0,
    deadline=4e9,
)
NOW = 1.0
BEFORE = (Step("one two "), Step("three four "))


def usage_of(*steps: Step) -> Usage:
    """Of an answer of three steps with text, each of more than a token; the last ones are given."""
    draft = Draft(REQUEST, 1, Gaps())
    for step in (*BEFORE, *steps):
        draft.note(step, NOW)
        if step.text:
            draft.add(step.text, step.ids, 0)
    return used(draft)


def used(draft: Draft) -> Usage:
    usage = draft.sealed(Done(uid="u", finish="stop")).usage
    assert usage is not None
    return usage


@pytest.mark.parametrize(
    ("steps", "tokens"),
    [
        pytest.param([Step("five", finish="stop")], 3, id="nobody counts"),
        pytest.param([Step("five", finish="stop", completion_tokens=5)], 5, id="told at the end"),
        pytest.param([Step("five", finish="stop", completion_tokens=2)], 2, id="fewer than pieces"),
        pytest.param([Step("five", completion_tokens=2), Step("")], 3, id="broken off early"),
        pytest.param([Step("five", completion_tokens=5), Step("")], 5, id="broken off, all told"),
        pytest.param([Step("five", ids=(1,), finish="stop")], 3, id="an engine with ids"),
    ],
)
def test_the_tokens_of_an_answer_are_those_the_engine_was_told(
    steps: list[Step], tokens: int
) -> None:
    assert usage_of(*steps).completion_tokens == tokens


def test_the_tokens_of_thoughts_are_told_beside_those_of_the_prompt() -> None:
    last = Step("five", finish="stop", prompt_tokens=7, completion_tokens=9, reasoning_tokens=4)
    found = usage_of(Step("one ", reasoning_tokens=1), last)
    told = (found.prompt_tokens, found.completion_tokens, found.reasoning_tokens)
    assert told == (7, 9, 4)


@pytest.mark.parametrize(
    ("stop", "said", "tokens"),
    [
        pytest.param("e", "Onc", 1, id="within the first token"),
        pytest.param("once", "", 1, id="the first token"),
        pytest.param("pon a t", "once u", 4, id="over some tokens"),
        pytest.param("nothing", "once upon a time", 5, id="none, and a token without text"),
    ],
)
def test_the_tokens_that_a_stop_string_took_were_generated(
    stop: str, said: str, tokens: int
) -> None:
    draft, gate = Draft(REQUEST, 1, Gaps()), Gate((stop,))
    first = "Once" if stop == "e" else "once"
    for at, text in enumerate((first, " upon", " a", " time", "")):
        step = Step(text, (at,), "length" if not text else None)
        draft.note(step, NOW)
        for piece in gate.feed(step.text, step.ids) + (gate.finish() if step.finish else []):
            draft.add(piece.text, piece.ids, 0)
        if gate.stopped:
            break
    assert "".join(piece.text for piece in draft.pieces) == said
    assert used(draft).completion_tokens == tokens


def test_tokens_add_up_over_those_who_hold_an_answer() -> None:
    draft = Draft(REQUEST, 2, Gaps())
    status = RunStatus(n=2, last=3, texts=("one", " two"), ids=((1,), (2, 3)), fingerprints=("f",))
    draft.take_over(status, "f")
    draft.note(Step(" three", (4,)), NOW)
    draft.note(Step(" four", (5,)), NOW)
    draft.add(" thr", (), 0)
    assert used(draft).completion_tokens == 5


def test_a_cut_token_is_one_for_whoever_takes_over_behind_it() -> None:
    draft = Draft(REQUEST, 2, Gaps())
    status = RunStatus(n=2, last=3, texts=("one", " t"), ids=((1,), ()), fingerprints=("f",))
    draft.take_over(status, "f")
    assert used(draft).completion_tokens == 2


def test_a_cut_token_is_the_end_for_another_engine_too() -> None:
    """Its ids mean nothing there; that there are none, and so that a stop string was met, does."""
    draft = Draft(REQUEST, 2, Gaps())
    status = RunStatus(n=2, last=3, texts=("one", " t"), ids=((1,), ()), fingerprints=("f",))
    draft.take_over(status, "another")
    assert [piece.ids for piece in draft.pieces] == [None, ()]
    assert has_stopped(draft.pieces)


@pytest.mark.parametrize("ids", [(2,), None])
def test_a_seal_names_ids_only_where_those_of_every_piece_are_known(
    ids: tuple[int, ...] | None,
) -> None:
    draft = Draft(REQUEST, 1, Gaps())
    draft.add("one ", (1,), 0)
    draft.add("two", ids, 0)
    seal = draft.sealed(Done(uid="u", finish="stop")).seal
    assert seal is not None
    assert (seal.count, seal.text) == (2, text_checksum("one two"))
    assert seal.ids == (None if ids is None else ids_checksum([(1,), ids]))


def test_a_prompt_that_nobody_counts_is_estimated_until_somebody_does() -> None:
    draft = Draft(REQUEST, 1, Gaps())
    said = (Message(role="system", content="Be brief."), Message(role="user", content="Hi"))
    draft.prompted(BuiltPrompt(messages=said, text="", ids=(), max_tokens=9, truncated=0))
    assert used(draft).prompt_tokens == 0, "who refused it has read nothing"
    draft.note(Step("Hi"), NOW)
    assert used(draft).prompt_tokens == 3
    draft.note(Step("", finish="stop", prompt_tokens=12), NOW)
    assert used(draft).prompt_tokens == 12


def test_a_prompt_that_was_begun_to_be_answered_elsewhere_was_read() -> None:
    draft = Draft(REQUEST, 2, Gaps())
    draft.take_over(RunStatus(n=2, last=1, texts=("one",), ids=None), "f")
    said = (Message(role="user", content="Hello"),)
    draft.prompted(BuiltPrompt(messages=said, text="", ids=(), max_tokens=9, truncated=0))
    assert used(draft).prompt_tokens == 2
