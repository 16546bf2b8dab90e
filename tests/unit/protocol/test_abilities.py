"""What a request needs of an engine, each need by itself."""

import pytest
from msgspec.structs import replace

from mesh.protocol.abilities import Ability, lacking
from mesh.protocol.errors import ErrorCode
from mesh.protocol.grammar import Grammar
from mesh.protocol.request import Message, Request, Sampling, Tool, ToolCall

PLAIN = Request(
    rid="r1",
    reply="gw1",
    tenant="ada",
    model="m",
    messages=(Message(role="user", content="Hello"),),
    created=0.0,
    deadline=60.0,
)
CALL = ToolCall(id="c1", name="f", arguments="{}")
NEEDS = {
    "a text to go on with": (replace(PLAIN, raw=True), Ability.ENCODE, "prompt"),
    "tools": (replace(PLAIN, tools=(Tool(name="f"),)), Ability.GRAMMAR, "tools"),
    "a call that was made": (
        replace(PLAIN, messages=(Message(role="assistant", content="", tool_calls=(CALL,)),)),
        Ability.GRAMMAR,
        "messages",
    ),
    "what came of a call": (
        replace(PLAIN, messages=(Message(role="tool", content="3", tool_call_id="c1"),)),
        Ability.GRAMMAR,
        "messages",
    ),
    "a format": (replace(PLAIN, grammar=Grammar(((),))), Ability.GRAMMAR, "response_format"),
    "how likely tokens were": (
        replace(PLAIN, sampling=Sampling(logprobs=0)),
        Ability.LOGPROBS,
        "logprobs",
    ),
}


@pytest.mark.parametrize("name", list(NEEDS))
def test_a_need_is_met_by_its_ability_and_refused_by_its_parameter_without(name: str) -> None:
    request, ability, param = NEEDS[name]
    others = tuple(each.value for each in Ability if each not in (ability, Ability.EMBED_ONLY))
    refused = lacking(request, others)
    assert refused is not None
    assert (refused.code, refused.param) == (ErrorCode.UNSUPPORTED, param)
    assert lacking(request, (ability.value,)) is None


def test_a_plain_question_needs_nothing() -> None:
    assert lacking(PLAIN, ()) is None
