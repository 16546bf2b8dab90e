"""What functions may be offered: one of each name, with a schema whose values are objects."""

import json
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from mesh.gateway.openai import chat_body
from mesh.gateway.openai.asked import Asked
from mesh.gateway.openai.responses import body as responses_body
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.spelling import ARGUMENTS, CLOSE, NAME, OPEN
from mesh.worker.grammar import fits

Schema = dict[str, Any]

A: Schema = {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]}
B: Schema = {"properties": {"b": {"type": "null"}}, "required": ["b"]}
TEXT: Schema = {"type": "string"}
DEFS: Schema = {"A": A, "B": B, "Text": TEXT, "Either": {"anyOf": [A, {"$ref": "#/$defs/B"}]}}


class Node(BaseModel):
    """A schema of this begins with a reference to itself."""

    name: str
    children: list["Node"]


def ask(*schemas: Schema | None, name: str = "f{}") -> Asked:
    """A chat completion with functions of these schemas, one of which has to be called."""
    tools = [
        {"type": "function", "function": {"name": name.format(at), "parameters": schema}}
        for at, schema in enumerate(schemas)
    ]
    messages = [{"role": "user", "content": "hi"}]
    body = {"messages": messages, "tools": tools, "tool_choice": "required"}
    return chat_body.read(msgspec.json.encode(body))


def may_call(asked: Asked, arguments: object) -> bool:
    assert asked.grammar is not None
    text = json.dumps(arguments, separators=(",", ":"))
    return fits(asked.grammar, f"{OPEN}{NAME}f0{ARGUMENTS}{text}{CLOSE}")


def test_a_schema_may_be_a_reference_to_itself() -> None:
    schema = Node.model_json_schema()
    assert "$ref" in schema and "type" not in schema
    asked = ask(schema)
    assert may_call(asked, {"name": "a", "children": [{"name": "b", "children": []}]})
    assert not may_call(asked, {"name": "a", "children": [7]})
    assert json.loads(asked.tools[0].parameters) == schema


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [A, B]},
        {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}], "$defs": DEFS},
        {"$ref": "#/$defs/Either", "$defs": DEFS},
        {"allOf": [{"$ref": "#/$defs/Either"}], "$defs": DEFS, "description": "One of two."},
        {"anyOf": [{"const": {"a": None}}, {"enum": [{"b": None}]}]},
    ],
)
def test_a_schema_may_be_a_choice_of_objects(schema: Schema) -> None:
    asked = ask(schema)
    assert may_call(asked, {"a": None}) and may_call(asked, {"b": None})
    assert not may_call(asked, {"c": None})


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"anyOf": [A, TEXT]}, ".anyOf[1]"),
        ({"anyOf": [A, {}]}, ".anyOf[1]"),
        ({"anyOf": [A, True]}, ".anyOf[1]"),
        ({"anyOf": [A, {"const": 7}]}, ".anyOf[1]"),
        ({"anyOf": [A, {"type": ["object", "null"]}]}, ".anyOf[1]"),
        (
            {"anyOf": [A, {"anyOf": [B, {"$ref": "#/$defs/Text"}]}], "$defs": DEFS},
            ".anyOf[1].anyOf[1]",
        ),
        ({"$ref": "#/$defs/Text", "$defs": DEFS}, ""),
        ({"$ref": "#/$defs/None", "$defs": DEFS}, ".$ref"),
        ({"$ref": "#"}, ""),
        ({"anyOf": []}, ".anyOf"),
        ({"anyOf": [A], "properties": {}}, ".properties"),
        ({"anyOf": [A], "type": "object"}, ".type"),
        ({"oneOf": [A, B]}, ".oneOf"),
    ],
)
def test_what_cannot_be_done_with_a_schema_is_told_of_the_place_that_was_sent(
    schema: Schema, place: str
) -> None:
    with pytest.raises(MeshError) as refused:
        ask(schema)
    assert refused.value.code == ErrorCode.BAD_REQUEST
    assert refused.value.param == f"tools[0].function.parameters{place}"


def test_two_functions_of_one_name_are_refused() -> None:
    assert len(ask(A, B).tools) == 2
    with pytest.raises(MeshError, match="a name of its own") as refused:
        ask(A, B, name="f")
    assert (refused.value.code, refused.value.param) == (
        ErrorCode.BAD_REQUEST,
        "tools[1].function.name",
    )
    tools = [{"type": "function", "name": name} for name in ("f", "g", "f")]
    with pytest.raises(MeshError) as refused:
        responses_body.read(msgspec.json.encode({"input": "hi", "tools": tools}))
    assert refused.value.param == "tools[2].name"
