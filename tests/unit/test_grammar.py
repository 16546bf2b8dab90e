"""Grammars: what schemas allow, what the rest of a text may be, and that both agree."""

import json
from pathlib import Path
from random import Random
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from mesh.gateway.grammar import json_schema, tool_calls
from mesh.gateway.grammar.keywords import ANNOTATIONS, KEYWORDS, SchemaError
from mesh.gateway.grammar.numbers import between
from mesh.gateway.grammar.tool_calls import Function
from mesh.protocol.grammar import Chars, Grammar
from mesh.worker.grammar import Matcher, fits, gbnf, rest_after, shortest
from tests.schemas import BOUNDS, FORMATS, UNDOCUMENTED, check, documented, schema, several_types

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


@pytest.mark.parametrize("seed", range(60))
def test_each_of_several_types_is_kept_to_its_keywords_or_they_are_refused(seed: int) -> None:
    random = Random(seed)
    asked = several_types(random)
    named = {word for kind in asked["type"] for word in KEYWORDS[kind]}
    unkept = BOUNDS if "number" in asked["type"] else ()
    wrong = asked.keys() - {"type"} - (named - set(unkept))
    if wrong:
        with pytest.raises(SchemaError, match="is not known here, or not in this place") as refused:
            json_schema.grammar(asked)
        assert refused.value.where == f".{min(wrong)}"
    one = {name: value for name, value in asked.items() if name not in wrong}
    grammar = json_schema.grammar(one)
    each = [shortest(json_schema.grammar(kept(one, kind))) for kind in one["type"]]
    for text in (*each, said(grammar, random)):
        assert fits(grammar, text)
        check(json.loads(text), one)


def kept(asked: dict[str, Any], kind: str) -> dict[str, Any]:
    """What a schema says of one of its types."""
    return {name: asked[name] for name in asked if name in KEYWORDS[kind]} | {"type": kind}


@pytest.mark.parametrize("word", BOUNDS)
@pytest.mark.parametrize("kinds", ["number", ["number"], ["integer", "number"], ["number", "null"]])
def test_bounds_that_a_number_would_not_be_kept_to_are_refused(kinds: object, word: str) -> None:
    with pytest.raises(SchemaError, match=f"{word} is not known here, or not in this") as refused:
        json_schema.grammar({"type": kinds, word: 5})
    assert refused.value.where == f".{word}"


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


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("a%20b", "a b"),
        ("%C3%A4", "ä"),
        ("a~1b~01", "a/b~1"),
        ("a%7E1b", "a/b"),
        ("100%25", "100%"),
        ("%2561", "%61"),
    ],
)
def test_a_reference_is_read_as_an_address_is(reference: str, name: str) -> None:
    asked = {"$ref": f"#/$defs/{reference}", "$defs": {name: {"type": "boolean"}}}
    grammar = json_schema.grammar(asked)
    assert fits(grammar, "true") and not fits(grammar, "1")
    check(True, asked)
    with pytest.raises(jsonschema.ValidationError):
        check(1, asked)


def test_what_a_coded_slash_parts_are_two_steps() -> None:
    asked = {"$ref": "#/$defs/a%2Fconst", "$defs": {"a": {"const": {"type": "null"}}}}
    assert fits(json_schema.grammar(asked), "null")


WITHIN = {"$id": "https://example.com/x", "$defs": {"a": {"type": "string"}}}
IDENTIFIED: dict[str, tuple[dict[str, Any], str]] = {
    "a property": ({"properties": {"x": WITHIN | {"$ref": "#/$defs/a"}}}, ".properties.x.$id"),
    "an item": ({"items": {"$id": "x", "type": "null"}}, ".items.$id"),
    "a choice": ({"anyOf": [WITHIN | {"type": "null"}]}, ".anyOf[0].$id"),
    "what is referred to": ({"$ref": "#/$defs/x", "$defs": {"x": WITHIN}}, ".$ref.$id"),
    "on the way": ({"$ref": "#/$defs/x/$defs/a", "$defs": {"x": WITHIN}}, ".$ref"),
}


@pytest.mark.parametrize("name", IDENTIFIED)
def test_an_id_within_a_schema_which_changes_what_references_mean_is_refused(name: str) -> None:
    asked, where = IDENTIFIED[name]
    with pytest.raises(SchemaError, match=r"Only the whole schema may have an \$id") as refused:
        json_schema.grammar(asked | {"$defs": {"a": {"type": "integer"}} | asked.get("$defs", {})})
    assert refused.value.where == where


def test_the_whole_schema_may_have_an_id_and_a_property_its_name() -> None:
    part = {"$id": {"type": "null"}, "x": {"$ref": "#"}, "y": {"$ref": "#/properties/$id"}}
    asked = {"$id": "https://example.com/x", "properties": part, "required": ["$id", "y"]}
    assert fits(json_schema.grammar(asked), '{"$id":null,"x":{"$id":null,"y":null},"y":null}')


def test_every_keyword_that_is_let_through_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "openai.md").read_text()
    table = text.partition("Known of JSON Schema")[2].partition("`python -m")[0]
    known = ANNOTATIONS.union(*KEYWORDS.values())
    assert not {word for word in known if f"`{word}`" not in table}


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
