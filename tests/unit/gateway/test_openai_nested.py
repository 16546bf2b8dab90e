"""Nothing within a body is dropped in silence: it is read, known as harmless, or refused."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mesh.gateway.body import decode_body
from mesh.gateway.openai import chat_body, text_body
from mesh.gateway.openai.responses import body as responses_body
from mesh.gateway.openai.tokenize import TokenizeBody
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Message

HELLO: list[Any] = [{"role": "user", "content": "hello"}]
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f"}}
FLAT = {"type": "function", "name": "f"}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "null"}}}
OUTPUT: list[Any] = [
    {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "Hm."}],
        "encrypted_content": None,
        "status": None,
    },
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "phase": None,
        "content": [{"type": "output_text", "text": "hi", "annotations": [], "logprobs": None}],
    },
    {
        "id": "fc_1",
        "type": "function_call",
        "call_id": "c",
        "name": "f",
        "arguments": "{}",
        "status": "completed",
        "caller": None,
        "namespace": None,
    },
    {"type": "function_call_output", "call_id": "c", "output": "4", "id": None, "status": None},
]


def chat(**asked: object) -> object:
    return chat_body.read(msgspec.json.encode({"messages": HELLO} | asked))


def text(**asked: object) -> object:
    return text_body.read(msgspec.json.encode({"prompt": "once"} | asked))


def respond(**asked: object) -> object:
    return responses_body.read(msgspec.json.encode({"input": "hello"} | asked))


def tokenize(**asked: object) -> object:
    return decode_body(msgspec.json.encode({"prompt": "once"} | asked), TokenizeBody)


def turn(**said: object) -> list[Any]:
    return [*HELLO, {"role": "assistant", "content": "hi"} | said]


def part(**said: object) -> list[Any]:
    return [{"role": "user", "content": [{"type": "text", "text": "hi"} | said]}]


@pytest.mark.parametrize(
    ("read", "asked", "param"),
    [
        (chat, {"stream": True, "stream_options": {"x": 1}}, "stream_options.x"),
        (text, {"stream": True, "stream_options": {"x": 1}}, "stream_options.x"),
        (chat, {"messages": turn(baz=1)}, "messages[1].baz"),
        (chat, {"messages": turn(prefix=True)}, "messages[1].prefix"),
        (chat, {"messages": turn(role="user", parsed={"a": 1})}, "messages[1].parsed"),
        (
            chat,
            {"messages": turn(tool_calls=[CALL | {"parsed_arguments": {}}])},
            "messages[1].tool_calls[0].parsed_arguments",
        ),
        (respond, {"input": [{"role": "user", "content": "hi", "parsed": 1}]}, "input[0].parsed"),
        (
            respond,
            {"input": [{"role": "user", "content": "hi", "parsed_arguments": {"a": 1}}]},
            "input[0].parsed_arguments",
        ),
        (chat, {"messages": turn(audio={})}, "messages[1].audio"),
        (chat, {"messages": turn(function_call={})}, "messages[1].function_call"),
        (chat, {"messages": turn(tool_call_id="c")}, "messages[1].tool_call_id"),
        (chat, {"messages": turn(tool_calls=[CALL | {"x": 1}])}, "messages[1].tool_calls[0].x"),
        (chat, {"messages": turn(role="user", tool_calls=[CALL])}, "messages[1].tool_calls"),
        (chat, {"messages": part(cache_control={})}, "messages[0].content[0].cache_control"),
        (chat, {"messages": part(image_url={})}, "messages[0].content[0].image_url"),
        (
            chat,
            {"messages": part(prompt_cache_breakpoint={"mode": "explicit", "x": 1})},
            "messages[0].content[0].prompt_cache_breakpoint.x",
        ),
        (
            chat,
            {"messages": part(prompt_cache_breakpoint=5)},
            "messages[0].content[0].prompt_cache_breakpoint",
        ),
        (chat, {"tools": [TOOL | {"x": 1}]}, "tools[0].x"),
        (
            chat,
            {"tools": [{"type": "function", "function": {"name": "f", "bar": 1}}]},
            "tools[0].function.bar",
        ),
        (chat, {"tools": [TOOL], "tool_choice": TOOL | {"x": 1}}, "tool_choice.x"),
        (chat, {"response_format": {"type": "text", "foo": 1}}, "response_format.foo"),
        (
            chat,
            {"response_format": {"type": "json_object", "schema": {"type": "null"}}},
            "response_format.schema",
        ),
        (
            chat,
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {}, "x": 1}}},
            "response_format.json_schema.x",
        ),
        (respond, {"reasoning": {"summary": None, "effort": "low"}}, "reasoning.effort"),
        (respond, {"reasoning": {"x": 1}}, "reasoning.x"),
        (respond, {"text": {"x": 1}}, "text.x"),
        (respond, {"text": {"format": {"type": "text", "x": 1}}}, "text.format.x"),
        (respond, {"tools": [FLAT | {"x": 1}]}, "tools[0].x"),
        (respond, {"tools": [FLAT | {"defer_loading": True}]}, "tools[0].defer_loading"),
        (respond, {"tools": [FLAT], "tool_choice": FLAT | {"x": 1}}, "tool_choice.x"),
        (respond, {"input": [{"role": "user", "content": "hi", "x": 1}]}, "input[0].x"),
        (
            respond,
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "", "x": 1}]}]},
            "input[0].content[0].x",
        ),
        (
            respond,
            {"input": part(type="input_text", prompt_cache_breakpoint={"mode": "any"})},
            "input[0].content[0].prompt_cache_breakpoint.mode",
        ),
        (
            respond,
            {
                "input": [
                    {"role": "user", "content": [{"type": "input_text", "text": "", "file_id": 1}]}
                ]
            },
            "input[0].content[0].file_id",
        ),
        (respond, {"input": part(type="input_text", parsed=1)}, "input[0].content[0].parsed"),
        (tokenize, {"add_special_tokens": False}, "add_special_tokens"),
    ],
)
def test_what_nobody_reads_is_refused_by_its_full_name(
    read: Callable[..., object], asked: dict[str, Any], param: str
) -> None:
    with pytest.raises(MeshError) as refused:
        read(**asked)
    assert refused.value.param == param
    assert refused.value.code in (ErrorCode.BAD_REQUEST, ErrorCode.UNSUPPORTED)
    assert refused.value.detail.endswith(".")


@pytest.mark.parametrize(
    ("read", "asked", "param"),
    [
        (chat, {"tools": [TOOL, {"type": "custom", "custom": {"name": "f"}}]}, "tools[1].type"),
        (respond, {"tools": [{"type": "web_search", "filters": None}]}, "tools[0].type"),
        (respond, {"input": [{"type": "web_search_call", "action": {}}]}, "input[0].type"),
        (
            respond,
            {"input": [{"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "x"}]}]},
            "input[0].type",
        ),
        (respond, {"tools": [{"type": "mcp", "server_label": "x"}]}, "tools[0].type"),
        (respond, {"input": [{"type": 3, "action": {}}]}, "input[0].type"),
    ],
)
def test_of_another_kind_of_thing_the_kind_is_refused_and_not_what_it_has(
    read: Callable[..., object], asked: dict[str, Any], param: str
) -> None:
    with pytest.raises(MeshError) as refused:
        read(**asked)
    assert refused.value.param == param


def test_an_answer_that_is_sent_back_as_clients_have_it_is_taken() -> None:
    answer = {
        "role": "assistant",
        "content": "hi",
        "name": "Ada",
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": [CALL | {"index": 0}],
        "reasoning_content": "Hm.",
        "reasoning": None,
        "provider_specific_fields": {"refusal": None},
    }
    asked = chat_body.read(msgspec.json.encode({"messages": [*HELLO, answer]}))
    said = asked.prompts[0][1]
    assert (said.content, [call.name for call in said.tool_calls]) == ("hi", ["f"])


@pytest.mark.parametrize("parsed", [None, {"city": "Oslo"}, ["Oslo"], 1])
def test_what_clients_have_made_of_an_answer_comes_back_with_it_and_says_nothing_new(
    parsed: object,
) -> None:
    function = {"name": "f", "arguments": '{"city": "Oslo"}', "parsed_arguments": parsed}
    answer = turn(parsed=parsed, tool_calls=[CALL | {"function": function}])
    told = chat_body.read(msgspec.json.encode({"messages": answer})).prompts[0][1]
    assert (told.content, told.tool_calls[0].arguments) == ("hi", '{"city": "Oslo"}')
    items = msgspec.json.decode(msgspec.json.encode(OUTPUT))
    items[1]["content"][0]["parsed"] = items[2]["parsed_arguments"] = parsed
    given: Any = respond(input=[*HELLO, *items])
    plain: Any = respond(input=[*HELLO, *OUTPUT])
    assert given[1] == plain[1]


def test_a_refusal_is_what_was_said_where_nothing_else_was() -> None:
    data = msgspec.json.encode({"messages": turn(content=None, refusal="No.")})
    assert chat_body.read(data).prompts[0][1] == Message(role="assistant", content="No.")


@pytest.mark.parametrize(
    ("read", "asked"),
    [
        (chat, {"messages": part(prompt_cache_breakpoint={"mode": "explicit"})}),
        (chat, {"stream": True, "stream_options": {"include_obfuscation": False}}),
        (chat, {"response_format": SCHEMA}),
        (chat, {"tools": [TOOL], "tool_choice": TOOL}),
        (respond, {"input": part(type="input_text", prompt_cache_breakpoint=None)}),
        (respond, {"reasoning": {"effort": None, "summary": None}}),
        (respond, {"text": {"format": {"type": "text"}, "verbosity": "medium"}}),
        (respond, {"tools": [FLAT | {"strict": True, "defer_loading": None}]}),
        (respond, {"tools": [FLAT | {"defer_loading": False}]}),
        (respond, {"input": [*HELLO, *OUTPUT]}),
    ],
)
def test_what_clients_send_besides_and_asks_for_nothing_is_taken(
    read: Callable[..., object], asked: dict[str, Any]
) -> None:
    read(**asked)


def test_a_name_without_end_is_not_told_back() -> None:
    with pytest.raises(MeshError) as refused:
        tokenize(**{"x" * 100_000: 1})
    assert len(refused.value.detail) < 300


@pytest.mark.parametrize("strict", [True, False, None])
def test_whether_a_tool_is_strict_is_told_to_its_engine(strict: bool | None) -> None:
    body = msgspec.json.encode({"model": "m", "input": "Hi", "tools": [FLAT | {"strict": strict}]})
    (tool,) = responses_body.read(body)[1].tools
    assert tool.strict is bool(strict)
