"""Grammars: what schemas allow, what the rest of a text may be, and that both agree."""

import json
from random import Random

import jsonschema  # type: ignore[import-untyped]
import pytest

from mesh.gateway.grammar import json_schema, tool_calls
from mesh.gateway.grammar.keywords import SchemaError
from mesh.gateway.grammar.numbers import between
from mesh.gateway.grammar.tool_calls import Function
from mesh.protocol.grammar import Chars, Grammar
from mesh.worker.grammar import Matcher, fits, gbnf, rest_after, shortest
from tests.schemas import FORMATS, UNDOCUMENTED, check, documented, schema

TREE = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#"}},
    },
    "required": ["name"],
}


def said(grammar: Grammar, random: Random) -> str:
    """A random text of a grammar: characters that may come, until it may end."""
    matcher, text = Matcher(grammar), ""
    for _ in range(60):
        choices = [c for c in '{}[]":, aZ09-ü\\n.truefalsn' if allows(grammar, text + c)]
        if not choices or (matcher.done and random.random() < 0.2):
            break
        chosen = random.choice(choices)
        matcher.feed(chosen)
        text += chosen
    rest = rest_after(grammar, text)
    assert rest is not None
    return text + shortest(rest)


def allows(grammar: Grammar, text: str) -> bool:
    return Matcher(grammar).feed(text)


@pytest.mark.parametrize("seed", range(150))
def test_what_a_grammar_allows_is_valid_under_its_schema(seed: int) -> None:
    random = Random(seed)
    asked = schema(random)
    grammar = json_schema.grammar(asked)
    for text in (shortest(grammar), said(grammar, random)):
        assert fits(grammar, text)
        check(json.loads(text), asked)


@pytest.mark.parametrize("seed", range(40))
def test_every_documented_keyword_is_kept_to(seed: int) -> None:
    random = Random(seed)
    asked = documented(random)
    grammar = json_schema.grammar(asked)
    for text in (shortest(grammar), said(grammar, random)):
        check(json.loads(text), asked)


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_kept_to_and_wrong_ones_noticed(name: str) -> None:
    asked = {"type": "string", "format": name}
    grammar = json_schema.grammar(asked)
    for seed in range(20):
        text = said(grammar, Random(seed))
        check(json.loads(text), asked)
    with pytest.raises(jsonschema.ValidationError):
        check("no such thing", asked)


@pytest.mark.parametrize("name", UNDOCUMENTED)
def test_any_other_keyword_is_refused_by_its_place(name: str) -> None:
    spoilt = {"type": "string", name: UNDOCUMENTED[name]}
    with pytest.raises(SchemaError) as refused:
        json_schema.grammar({"type": "object", "properties": {"a": spoilt}})
    assert refused.value.where == f".properties.a.{name}"


@pytest.mark.parametrize("seed", range(20))
def test_the_rest_of_a_text_is_what_was_left_of_it(seed: int) -> None:
    random = Random(seed)
    grammar = json_schema.grammar(schema(random))
    text = said(grammar, random)
    for at in range(len(text) + 1):
        rest = rest_after(grammar, text[:at])
        assert rest is not None and fits(rest, text[at:])
    assert rest_after(grammar, text + "}") is None


def test_a_schema_may_refer_to_itself() -> None:
    grammar = json_schema.grammar(TREE)
    text = '{"name":"a", "children": [{"name":"b"},{"name": "\\u00e4","children":[]}]}'
    assert fits(grammar, text)
    assert not fits(grammar, text.replace('"name":"b"', '"nam":"b"'))


@pytest.mark.parametrize("bounds", [(-5, 12), (0, 130), (17, 2345), (-120, -7), (0, 0), (99, 101)])
def test_integers_between_bounds_are_exactly_those(bounds: tuple[int, int]) -> None:
    grammar = Grammar((tuple(between(*bounds)),))
    found = [number for number in range(-2500, 2500) if fits(grammar, str(number))]
    assert found == list(range(bounds[0], bounds[1] + 1))
    assert not fits(grammar, "-0") and not fits(grammar, "007")


def test_a_string_never_has_half_of_a_pair_or_a_bare_control_character() -> None:
    grammar = json_schema.grammar({"type": "string", "maxLength": 2})
    assert fits(grammar, '"\\u00e4ü"') and fits(grammar, '"\\ud7ff"')
    for text in ('"\\ud800"', '"\n"', '"abc"', '"\\x"'):
        assert not fits(grammar, text)


def test_calls_and_text_are_told_apart() -> None:
    functions = [Function("f", {"type": "object", "additionalProperties": False}, "tools[0]")]
    call = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'
    free = tool_calls.grammar(functions, "text", parallel=True)
    for text in ("", "a < b <<tool_cal", call, f"Now: {call}\n{call}"):
        assert fits(free, text)
    for text in (f"{call} and", "<tool_call>", "a <tool_call> b"):
        assert not fits(free, text)
    one = tool_calls.grammar(functions, None, parallel=False)
    assert fits(one, call) and not fits(one, "") and not fits(one, f"{call}\n{call}")


def test_it_is_written_as_llama_cpp_reads_it() -> None:
    grammar = Grammar((((1, "a b"), ()), ((Chars("az--"),), (Chars('""', negated=True),))))
    assert gbnf(grammar).splitlines() == [
        'root ::= r1 "a\\U00000020b" | ""',
        "r1 ::= [a-z\\U0000002d-\\U0000002d] | [^\\U00000022-\\U00000022]",
    ]
