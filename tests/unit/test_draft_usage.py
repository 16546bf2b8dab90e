"""What the end of an answer says of its tokens, by what the engine has told of them."""

import pytest

from mesh.protocol.messages import Done, Message, Request, Usage
from mesh.worker.draft import Draft
from mesh.worker.engines.base import Step
from mesh.worker.gate import Piece

REQUEST = Request(
    rid="r1",
    reply="gw1",
    tenant="t",
    model="m",
    messages=(Message(role="user", content="?"),),
    created=0.0,
    deadline=4e9,
)
PIECES = (Piece("one two ", None), Piece("three four ", None), Piece("five", None))


def usage_of(*steps: Step) -> Usage:
    """Of an answer of three pieces without ids, each of more than a token."""
    draft = Draft(REQUEST, 1)
    for piece in PIECES:
        draft.add(piece)
    for step in steps:
        draft.note(step)
    usage = draft.sealed(Done(uid="u", finish="stop")).usage
    assert usage is not None
    return usage


@pytest.mark.parametrize(
    ("steps", "tokens"),
    [
        pytest.param([Step("five", finish="stop")], 3, id="nobody counts"),
        pytest.param([Step("five", finish="stop", completion_tokens=5)], 5, id="told at the end"),
        pytest.param([Step("five", finish="stop", completion_tokens=2)], 2, id="fewer than pieces"),
        pytest.param([Step("one two ", completion_tokens=2), Step("")], 3, id="broken off early"),
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
