"""What is wrong with a text under a JSON Schema, and where: as a validator of others finds it."""

import time
from random import Random
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest

from mesh.gateway.grammar import json_schema
from mesh.worker.engines.schema_faults import text_fault
from mesh.worker.grammar import shortest
from tests import schemas

TREE = {
    "type": "object",
    "properties": {"leaf": {"enum": [1, "one", None, [1]]}, "more": {"$ref": "#/$defs/many"}},
    "required": ["leaf"],
    "additionalProperties": False,
    "$defs": {"many": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2}},
}

KEYED = {"properties": {"a\n": {"type": "integer"}}, "additionalProperties": {"type": "string"}}
LINKED = {
    "type": "object",
    "properties": {"more": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
    "required": ["more"],
}


def fault(schema: object, text: str) -> str:
    found = text_fault(msgspec.json.encode(schema).decode(), text)
    return str(found) if found is not None else ""


@pytest.mark.parametrize(
    ("schema", "text", "why"),
    [
        (TREE, '{"leaf": 1, "more": [{"leaf": [1]}]}', ""),
        (TREE, '{"leaf": true}', ".leaf is none of the values that are allowed"),
        (TREE, '{"leaf": 1, "more": [{"leaf": 1}, {}]}', ".more[1].leaf is missing"),
        (TREE, '{"leaf": 1, "x": 2}', "the whole has a property that is not listed"),
        (KEYED, '{"a\\n": "1"}', r"['a\n'] has to be of type integer"),
        (KEYED, '{"in\\nvented": 1}', ".* has to be of type string"),
        (KEYED | {"required": ["x" * 999]}, "{}", f".{'x' * 80} is missing"),
        ({"enum": [1, [True], {"a": 1}]}, "true", "the whole is none of"),
        ({"enum": [1, [True], {"a": 1}]}, "[1]", "the whole is none of"),
        ({"enum": [1, [True], {"a": 1}]}, '{"a": 1, "b": 1}', "the whole is none of"),
        ({"enum": [1, [True], {"a": 1}]}, '{"a": 1.0}', ""),
        ({"enum": [1, [True], {"a": 1}]}, "1.0", ""),
        (TREE, '{"leaf": 1, "more": [1, 2, 3]}', ".more has 3 items, more than 2"),
        ({"const": 1}, "true", "the whole is not the one value that is allowed"),
        ({"type": ["integer", "null"]}, "1.5", "the whole has to be of type integer or null"),
        ({"type": "integer"}, "1.0", ""),
        ({"type": "integer"}, "true", "the whole has to be of type integer"),
        ({"type": "integer", "exclusiveMaximum": 3}, "3", "the whole is too large"),
        ({"type": "integer", "minimum": 3}, "2", "the whole is too small"),
        ({"type": "string", "minLength": 2}, '"\N{GRINNING FACE}"', "the whole has 1 characters"),
        ({"type": "string", "format": "date"}, '"2024-02-30"', "the whole has to be a date"),
        ({"type": "string", "format": "date-time"}, '"2024-02-29T01:02:03.5+01:00"', ""),
        ({"type": "string", "format": "date-time"}, '"2024-02-29T01:02:03"', ""),
        ({"type": "string", "format": "time"}, '"01:02:03"', ""),
        ({"type": "string", "format": "time"}, '"01:02"', "the whole has to be a time"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, "1", "the whole fits none"),
        ({"allOf": [{"type": "null"}]}, "1", "the whole has to be of type null"),
        ({"type": "object"}, '{"a": 1', "the whole is not JSON"),
        ({}, "[" * 100_000 + "]" * 100_000, "the whole is"),
        ({"$ref": "#/$defs/a%20b", "$defs": {"a b": {"type": "null"}}}, "null", ""),
        ({"$ref": "#/nowhere"}, "1", "the whole is not allowed here"),
    ],
)
def test_a_fault_is_told_with_its_place(schema: object, text: str, why: str) -> None:
    found = fault(schema, text)
    assert found.startswith(why) and bool(found) is bool(why)


def test_it_says_what_a_validator_of_others_says_of_random_values() -> None:
    random, seen = Random(7), [0, 0]
    for _ in range(400):
        asked, other = schemas.schema(random), schemas.schema(random)
        for source in (asked, other):
            text = shortest(json_schema.grammar(source))
            valid = _valid(msgspec.json.decode(text), asked)
            assert (not fault(asked, text)) is valid, (asked, text)
            seen[valid] += 1
    assert min(seen) > 50


def _valid(value: object, asked: dict[str, Any]) -> bool:
    try:
        schemas.check(value, asked)
    except jsonschema.ValidationError:
        return False
    return True


def test_choices_within_choices_are_no_more_work_than_they_are() -> None:
    twice = {"anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}, "minItems": 0}]}
    schema = twice | {"type": ["array", "null"]}
    began = time.perf_counter()
    assert fault(schema, "[" * 60 + "1" + "]" * 60)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("levels", [50, 100, 400])
def test_what_is_nested_too_deeply_to_be_checked_is_taken(levels: int) -> None:
    assert not fault(LINKED, '{"more": ' * levels + "null" + "}" * levels)


MANY: dict[str, tuple[Any, Any]] = {
    "an enum": ({"items": {"enum": list(range(100_000))}}, list(range(95_001, 100_000))),
    "an enum of lists": (
        {"items": {"enum": [[0] * 9 + [n] for n in range(9999)]}},
        [[0] * 10] * 99,
    ),
    "another enum of lists": (
        {"items": {"enum": [[0] * 9 + [n] for n in range(9999)]}},
        [[0] * 9 + [9998] for _ in range(5000)],
    ),
    "an enum for each": (
        {"items": {"anyOf": [{"enum": list(range(n, n + 1000))} for n in range(100)]}},
        [1098] * 5000,
    ),
    "required": (
        {"items": {"type": "object", "required": ["a"] * 50_000}},
        [{"a": n} for n in range(5000)],
    ),
    "types": ({"items": {"type": ["null"] * 50_000 + ["integer"]}}, list(range(5000))),
    "choices": ({"items": {"anyOf": [False] * 50_000 + [True]}}, list(range(5000))),
    "formats": (
        {"anyOf": [{"type": "string", "format": "email", "minLength": 1} for _ in range(2000)]},
        "x@" + "x" * 1_000_000 + "@",
    ),
    "a reference": (
        {"items": {"$ref": "#/$defs/" + "/".join("a" * 9999)}, "$defs": {}},
        [1] * 5000,
    ),
    "parts": ({"items": {"type": "integer", "minimum": 0}}, list(range(1_000_000))),
}


@pytest.mark.parametrize("name", MANY)
def test_whatever_is_asked_for_it_takes_a_while_at_most(name: str) -> None:
    schema, value = MANY[name]
    asked, text = msgspec.json.encode(schema).decode(), msgspec.json.encode(value).decode()
    began = time.process_time()
    text_fault(asked, text)
    assert time.process_time() - began < 2


def test_an_enum_is_no_more_work_the_longer_it_is() -> None:
    schema, value = MANY["an enum"]
    assert not fault(schema, msgspec.json.encode(value).decode())
    assert fault(schema, msgspec.json.encode([*value, -1]).decode()).startswith("[4999] is none of")
