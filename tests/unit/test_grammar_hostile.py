"""Schemas made to cost whoever reads them, or keeps to them, too much: refused, and soon."""

import json
from typing import Any

import pytest

from mesh.gateway.grammar import json_schema
from mesh.gateway.grammar.sound import MOST_READINGS, faults
from mesh.gateway.openai import chat_body
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.grammar import Alternative, Grammar, Rule
from mesh.worker.grammar import Matcher, fits, shortest

Schema = dict[str, Any]


def body(schema: str) -> bytes:
    """A request for an answer of this schema."""
    head = '{"messages": [{"role": "user", "content": "x"}], "response_format": '
    named = f'{{"name": "x", "schema": {schema}}}'
    return f'{head}{{"type": "json_schema", "json_schema": {named}}}}}'.encode()


def doubling(levels: int, kinds: Schema, again: bool = False) -> Schema:
    """Objects of two kinds within one another; `again`: and so on without an end."""
    choices = [
        {"type": "object", "properties": {**kinds, "x": {"$ref": "#/$defs/%d"}, last: {}}}
        for last in ("y", "z")
    ]
    text = json.dumps({"anyOf": [*choices, {"type": "null"}]})
    defs = {str(at): json.loads(text.replace("%d", str(at + 1))) for at in range(levels)}
    end = {"$ref": "#/$defs/0"} if again else {"type": "null"}
    return {"$ref": "#/$defs/0", "$defs": defs | {str(levels): end}}


def nested(levels: int, **more: int) -> Schema:
    schema: Schema = {"type": "null"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema} | more
    return schema


CHAIN = {str(at): {"type": "array", "items": {"$ref": f"#/$defs/{at + 1}"}} for at in range(5000)}

HOSTILE: dict[str, tuple[Schema, str]] = {
    "nested deeply": (nested(300), "nested too deeply"),
    "a chain of references": (
        {"$ref": "#/$defs/0", "$defs": CHAIN | {"5000": True}},
        "nested too deeply",
    ),
    "a reference to itself": ({"$ref": "#"}, "refers to itself"),
    "references in a ring": (
        {
            "$ref": "#/$defs/a",
            "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}},
        },
        "refers to itself",
    ),
    "what may be itself": ({"anyOf": [{"type": "null"}, {"$ref": "#"}]}, "refers to itself"),
    "what needs itself": (
        {"type": "object", "properties": {"x": {"$ref": "#"}}, "required": ["x"]},
        "refers to itself",
    ),
    "a long enum": ({"enum": list(range(MOST_READINGS + 1))}, "ways to read"),
    "a huge enum": ({"enum": [f"value {n}" for n in range(100_000)]}, "too large"),
    "many properties": ({"properties": {str(n): {} for n in range(50_000)}}, "too large"),
    "many optional properties": ({"properties": {str(n): {} for n in range(2500)}}, "ways to read"),
    "long repetitions": (
        {"properties": {str(n): nested(1, minItems=1000) for n in range(1000)}},
        "too large",
    ),
    "repetitions of repetitions": (
        nested(6, minItems=1000),
        "shortest value has 5,002,002,002,002,002,001 char",
    ),
    "long texts": (
        {"properties": {str(n): {"const": "x" * 10_000} for n in range(100)}},
        "too large",
    ),
    "readings that double at each level": (doubling(30, {}), "ways to read"),
    "readings that double without an end": (doubling(1, {}, again=True), "ways to read"),
    "alternatives of alternatives": (
        {
            "$ref": "#/$defs/a",
            "$defs": {
                "a": {"anyOf": [{"anyOf": [nested(1), {"$ref": "#/$defs/b"}]}, nested(1)]},
                "b": {"type": "array", "items": {"$ref": "#/$defs/a"}},
            },
        },
        "ways to read",
    ),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_what_costs_too_much_is_refused_with_its_place_and_a_sentence(name: str) -> None:
    schema, sentence = HOSTILE[name]
    with pytest.raises(MeshError, match=sentence) as refused:
        chat_body.read(body(json.dumps(schema)))
    assert refused.value.code == ErrorCode.BAD_REQUEST
    assert str(refused.value.param).startswith("response_format.json_schema.schema")


@pytest.mark.parametrize("before", [(), ("",), (1,), (1, 1)])
def test_a_rule_behind_nothing_begins_with_itself(before: Alternative) -> None:
    space: Rule = ((), (" ",))
    (said,) = faults(Grammar(((("x",), (*before, 0)), space)), {})
    assert "refers to itself" in said
    assert not list(faults(Grammar(((("x",), ("y", *before, 0)), space)), {}))


def test_a_type_that_is_named_often_is_read_once() -> None:
    schema: Schema = {"type": ["array"] * 1000, "items": {"const": "x" * 10_000}}
    assert len(json_schema.grammar(schema).rules) < 10


@pytest.mark.parametrize("levels", [5_000, 150_000])
def test_a_body_nested_beyond_reading_is_refused(levels: int) -> None:
    schema = '{"type":"array","items":' * levels + "{}" + "}" * levels
    with pytest.raises(MeshError, match="recursion") as refused:
        chat_body.read(body(schema))
    assert refused.value.code == ErrorCode.BAD_REQUEST


@pytest.mark.parametrize("word", ["pattern", "patternProperties"])
def test_regular_expressions_are_never_run(word: str) -> None:
    with pytest.raises(MeshError, match="not known here") as refused:
        chat_body.read(body(json.dumps({"type": "string", word: "(a+)+$"})))
    assert refused.value.param == f"response_format.json_schema.schema.{word}"


def test_a_tool_s_parameters_are_held_to_the_same() -> None:
    asked = {
        "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    }
    text = json.dumps(asked).replace('"parameters": {}', f'"parameters": {json.dumps(nested(300))}')
    with pytest.raises(MeshError, match="nested too deeply") as refused:
        chat_body.read(text.encode())
    assert refused.value.param == "tools[0].function.parameters"


TOLD_APART: dict[str, Schema] = {
    "by the name of what comes first": {
        "anyOf": [
            {
                "type": "object",
                "properties": {name: {"$ref": "#"}, "then": {"$ref": "#"}},
                "required": [name],
            }
            for name in ("not", "if", "while")
        ]
        + [{"type": "null"}]
    },
    "by a constant": {
        "anyOf": [
            {
                "type": "object",
                "properties": {"kind": {"const": kind}, "x": {"$ref": "#"}},
                "required": ["kind"],
            }
            for kind in ("a", "b", "c")
        ]
    },
    "by their types": {"anyOf": [nested(2), {"type": "object"}, {"type": "null"}]},
}


@pytest.mark.parametrize("name", list(TOLD_APART))
def test_alternatives_that_are_told_apart_may_go_on_for_ever(name: str) -> None:
    made = json_schema.grammar(TOLD_APART[name])
    assert fits(made, shortest(made))


def test_a_few_levels_that_are_read_alike_are_followed() -> None:
    """Each doubles the readings: the limit is where they are too many, not where they begin."""
    matcher = Matcher(json_schema.grammar(doubling(4, {})))
    assert matcher.feed('{"x":' * 4 + "null" + ',"z":1}' * 4) and matcher.done
