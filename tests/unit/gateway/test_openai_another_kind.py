"""What belongs to things of another kind is refused by its full name, and what is empty taken."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mesh.gateway.openai import chat_body
from mesh.gateway.openai.responses import body as responses_body
from mesh.protocol.errors import ErrorCode, MeshError

HELLO: list[Any] = [{"role": "user", "content": "hello"}]
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = [HELLO[0], {"role": "assistant", "content": None, "tool_calls": [CALL]}]
NULL = {"name": "x", "schema": {"type": "null"}}
Read = Callable[..., object]

OF_ANSWERS: dict[str, Any] = {
    "refusal": "No.",
    "annotations": [{"type": "url_citation"}],
    "reasoning": "Hm.",
    "reasoning_content": "Hm.",
    "provider_specific_fields": {"a": 1},
}
ITEMS: dict[str, dict[str, Any]] = {
    "message": {"role": "user", "content": "hello"},
    "function_call": {"call_id": "c", "name": "f", "arguments": "{}"},
    "function_call_output": {"call_id": "c", "output": "4"},
    "reasoning": {"summary": []},
}
OF_ITEMS: dict[str, Any] = {
    "role": "user",
    "content": "hello",
    "call_id": "c",
    "arguments": "{}",
    "output": "4",
    "encrypted_content": "x",
    "phase": "commentary",
    "summary": [{"type": "summary_text", "text": "x"}],
}
MAY: dict[str, tuple[str, ...]] = {
    "message": ("role", "content", "phase"),
    "function_call": ("call_id", "arguments"),
    "function_call_output": ("call_id", "output"),
    "reasoning": ("summary", "content", "encrypted_content"),
}


def chat(**asked: object) -> object:
    return chat_body.read(msgspec.json.encode({"messages": HELLO} | asked))


def respond(**asked: object) -> object:
    return responses_body.read(msgspec.json.encode({"input": "hello"} | asked))


def refusal(read: Read, asked: dict[str, Any]) -> tuple[ErrorCode, str | None]:
    with pytest.raises(MeshError) as refused:
        read(**asked)
    assert refused.value.detail.endswith(".")
    return refused.value.code, refused.value.param


@pytest.mark.parametrize("kind", ["text", "json_object"])
def test_a_schema_is_not_dropped_because_of_the_type_of_its_format(kind: str) -> None:
    asked: dict[str, Any] = {"response_format": {"type": kind, "json_schema": NULL}}
    assert refusal(chat, asked) == (ErrorCode.BAD_REQUEST, "response_format.json_schema")
    for name, value in (("schema", {"type": "null"}), ("name", "x"), ("strict", True)):
        asked = {"text": {"format": {"type": kind, name: value}}}
        assert refusal(respond, asked) == (ErrorCode.BAD_REQUEST, f"text.format.{name}")
    chat(response_format={"type": kind, "json_schema": None})
    respond(text={"format": {"type": kind, "schema": None, "name": None}})


@pytest.mark.parametrize("name", [None, "", "two words", "é", "x" * 65])
def test_a_schema_has_a_name(name: str | None) -> None:
    format: dict[str, Any] = {"name": name, "schema": {"type": "null"}}
    asked: dict[str, Any] = {"response_format": {"type": "json_schema", "json_schema": format}}
    wrong = ErrorCode.BAD_REQUEST
    assert refusal(chat, asked) == (wrong, "response_format.json_schema.name")
    asked = {"text": {"format": format | {"type": "json_schema"}}}
    assert refusal(respond, asked) == (wrong, "text.format.name")


@pytest.mark.parametrize("many", [True, False])
def test_how_many_calls_there_may_be_is_no_question_without_tools(many: bool) -> None:
    asked = {"parallel_tool_calls": many}
    assert refusal(chat, asked) == (ErrorCode.BAD_REQUEST, "parallel_tool_calls")
    # A response has it always, so that clients send it back; it says the same as without it.
    _, taken, note = responses_body.read(msgspec.json.encode({"input": "hello"} | asked))
    _, without, _ = responses_body.read(b'{"input": "hello"}')
    assert (note.parallel_tool_calls, taken) == (many, without)


@pytest.mark.parametrize("name", OF_ANSWERS)
@pytest.mark.parametrize("role", ["user", "system", "developer", "tool"])
def test_what_only_answers_have_no_other_message_has(role: str, name: str) -> None:
    turn: dict[str, Any] = {"role": role, "content": "hello"}
    if role == "tool":
        turn["tool_call_id"] = "c"
    asked: dict[str, Any] = {"messages": [*CALLED, turn | {name: OF_ANSWERS[name]}]}
    assert refusal(chat, asked) == (ErrorCode.BAD_REQUEST, f"messages[2].{name}")
    nothing: list[Any] = [None, type(OF_ANSWERS[name])()]
    for empty in nothing:
        chat(messages=[*CALLED, turn | {name: empty}])


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in ITEMS for name in OF_ITEMS if name not in MAY[kind]]
)
def test_what_an_item_of_another_type_has_is_refused(kind: str, name: str) -> None:
    item = {"type": kind} | ITEMS[kind]
    asked: dict[str, Any] = {"input": [HELLO[0], item | {name: OF_ITEMS[name]}]}
    assert refusal(respond, asked) == (ErrorCode.BAD_REQUEST, f"input[1].{name}")
    respond(input=[HELLO[0], item | {name: None}])
