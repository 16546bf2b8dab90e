"""Tools and formats on the OpenAI routes, through OpenAI's own client."""

import json
from secrets import token_hex
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageToolCall

from tests.calling import CALL, CLOCK, WEATHER, Person, told_outcome
from tests.whole_mesh import ECHO, SLOW, Mesh


def ask(client: openai.OpenAI, text: str, model: str = ECHO, **parameters: Any) -> Any:
    messages: Any = [{"role": "user", "content": text}]
    return client.chat.completions.create(model=model, messages=messages, **parameters)


def function(call: object) -> tuple[str, str]:
    assert isinstance(call, ChatCompletionMessageToolCall)
    return call.function.name, call.function.arguments


def refusal(client: openai.OpenAI, **parameters: Any) -> tuple[str | None, str | None]:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "hello", **parameters)
    return refused.value.code, refused.value.param


# --- tools ----------------------------------------------------------------------------------------


def test_a_tool_is_called_and_its_outcome_answered(client: openai.OpenAI) -> None:
    choice = ask(client, CALL, tools=[WEATHER]).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    (call,) = choice.message.tool_calls
    assert function(call) == ("get_weather", '{"city": "Oslo"}')
    answer = client.chat.completions.create(
        model=ECHO,
        tools=[WEATHER],
        messages=told_outcome(choice.message, "It rains."),
    )
    assert answer.choices[0].message.content == "It rains."
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("cut", [{"max_tokens": 5}, {"stop": ["Oslo"]}])
def test_a_call_that_was_cut_off_can_be_sent_back(client: openai.OpenAI, cut: Any) -> None:
    choice = ask(client, CALL, tools=[WEATHER], tool_choice="required", **cut).choices[0]
    (call,) = choice.message.tool_calls
    with pytest.raises(ValueError):
        json.loads(function(call)[1])
    answer = client.chat.completions.create(
        model=ECHO, tools=[WEATHER], messages=told_outcome(choice.message, "It was cut off.")
    )
    assert answer.choices[0].message.content == "It was cut off."
    response = client.responses.create(
        model=ECHO,
        input=[
            {"type": "function_call", "call_id": "c", "name": "get_weather", "arguments": '{"ci'},
            {"type": "function_call_output", "call_id": "c", "output": "So it was."},
        ],
    )
    assert response.output_text == "So it was."


def test_several_calls_are_one_answer_unless_that_is_forbidden(client: openai.OpenAI) -> None:
    both = f"{CALL}\n/call clock {{}}"
    calls = ask(client, both, tools=[WEATHER, CLOCK]).choices[0].message.tool_calls
    assert [function(call) for call in calls] == [
        ("get_weather", '{"city": "Oslo"}'),
        ("clock", "{}"),
    ]
    assert len({call.id for call in calls}) == 2
    one = ask(client, both, tools=[WEATHER, CLOCK], parallel_tool_calls=False).choices[0]
    assert one.message.tool_calls is None, "what it may not say it does not"


def test_a_call_streams_its_name_first_and_then_its_arguments(client: openai.OpenAI) -> None:
    text = '/call get_weather {"city": "a b c d"}'
    deltas = [
        delta
        for chunk in ask(client, text, model=SLOW, tools=[WEATHER], stream=True)
        for choice in chunk.choices
        for delta in choice.delta.tool_calls or []
    ]
    first, *rest = deltas
    assert (first.index, first.type, first.function.name) == (0, "function", "get_weather")
    assert first.id.startswith("call_")
    assert [(delta.index, delta.id, delta.function.name) for delta in rest] == [
        (0, None, None)
    ] * len(rest)
    assert len(rest) > 1
    arguments = "".join(delta.function.arguments for delta in deltas)
    assert json.loads(arguments) == {"city": "a b c d"}


def test_the_client_s_own_reader_of_streams_understands_calls(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model=ECHO, messages=[{"role": "user", "content": CALL}], tools=[WEATHER]
    ) as stream:
        final = stream.get_final_completion().choices[0]
    assert final.finish_reason == "tool_calls"
    assert final.message.tool_calls is not None
    assert function(final.message.tool_calls[0]) == ("get_weather", '{"city": "Oslo"}')


@pytest.mark.parametrize("text", ["hello", "a <b> and <tool_calls>", "/call other {}"])
def test_with_tools_an_answer_may_still_be_text(client: openai.OpenAI, text: str) -> None:
    choice = ask(client, text, tools=[WEATHER]).choices[0]
    assert (choice.message.content, choice.finish_reason) == (text, "stop")
    streamed = ask(client, text, tools=[WEATHER], stream=True)
    said = [choice.delta.content or "" for chunk in streamed for choice in chunk.choices]
    assert "".join(said) == text


def test_a_call_can_be_demanded(client: openai.OpenAI) -> None:
    named = {"type": "function", "function": {"name": "clock"}}
    for choice, name in (("required", "get_weather"), (named, "clock")):
        found = ask(client, "hello", tools=[WEATHER, CLOCK], tool_choice=choice).choices[0]
        assert found.finish_reason == "tool_calls"
        (call,) = found.message.tool_calls
        assert name in ("get_weather", function(call)[0]) and json.loads(function(call)[1]) in (
            {},
            {"city": ""},
        )


def test_a_call_can_be_forbidden(client: openai.OpenAI) -> None:
    choice = ask(client, CALL, tools=[WEATHER], tool_choice="none").choices[0]
    assert choice.message.content == CALL and choice.message.tool_calls is None


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [CLOCK], "tool_choice": WEATHER}, "tool_choice"),
        ({"tools": [CLOCK], "logprobs": True}, "logprobs"),
        ({"tools": [CLOCK], "ignore_eos": True}, "ignore_eos"),
    ],
)
def test_what_cannot_be_done_with_tools_is_refused_by_name(
    client: openai.OpenAI, parameters: dict[str, Any], param: str
) -> None:
    extra = {"ignore_eos": parameters.pop("ignore_eos")} if "ignore_eos" in parameters else {}
    assert refusal(client, **parameters, extra_body=extra)[1] == param


def test_a_schema_of_arguments_that_cannot_be_kept_to_is_named(client: openai.OpenAI) -> None:
    tool = {"name": "f", "parameters": {"properties": {"a": {"pattern": "x"}}}}
    assert refusal(client, tools=[{"type": "function", "function": tool}]) == (
        "bad_request",
        "tools[0].function.parameters.properties.a.pattern",
    )


# --- formats --------------------------------------------------------------------------------------


def test_an_answer_is_of_its_schema(client: openai.OpenAI) -> None:
    parsed = client.chat.completions.parse(
        model=ECHO, messages=[{"role": "user", "content": "Who?"}], response_format=Person
    )
    assert isinstance(parsed.choices[0].message.parsed, Person)
    said = '{"name": "Ada", "age": 36}'
    parsed = client.chat.completions.parse(
        model=ECHO, messages=[{"role": "user", "content": said}], response_format=Person
    )
    assert parsed.choices[0].message.parsed == Person(name="Ada", age=36)


def test_any_object_can_be_asked_for(client: openai.OpenAI) -> None:
    format = {"type": "json_object"}
    assert json.loads(ask(client, "x", response_format=format).choices[0].message.content) == {}
    said = '{"a": [1, {"b": null}]}'
    assert ask(client, said, response_format=format).choices[0].message.content == said


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"type": "object", "properties": {"a": {"type": "strin"}}}, ".properties.a.type"),
        ({"type": "string", "pattern": "a+"}, ".pattern"),
        ({"oneOf": [{"type": "null"}]}, ".oneOf"),
        ({"$ref": "#/$defs/x"}, ".$ref"),
        ({"type": "string", "minLength": 2, "maxLength": 1}, ".maxLength"),
        ({"$ref": "#"}, ""),
    ],
)
def test_a_schema_that_cannot_be_kept_to_is_refused(
    client: openai.OpenAI, schema: object, where: str
) -> None:
    format = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    code, param = refusal(client, response_format=format)
    assert (code, param) == ("bad_request", f"response_format.json_schema.schema{where}")


def test_a_format_that_is_none_is_refused(client: openai.OpenAI) -> None:
    assert refusal(client, response_format={"type": "xml"})[1] == "response_format.type"
    format = {"type": "json_schema"}
    assert refusal(client, response_format=format)[1] == "response_format.json_schema"


# --- thoughts -------------------------------------------------------------------------------------


def test_thoughts_are_not_part_of_the_answer(client: openai.OpenAI) -> None:
    text = "<think>\nOne and one.\n</think>\n\nIt is two."
    message = ask(client, text).choices[0].message
    assert message.content == "It is two."
    assert message.reasoning_content == "One and one.\n"
    thought, said = "", ""
    for chunk in ask(client, text, stream=True):
        for choice in chunk.choices:
            thought += getattr(choice.delta, "reasoning_content", None) or ""
            said += choice.delta.content or ""
    assert (thought, said) == ("One and one.\n", "It is two.")


# --- read on --------------------------------------------------------------------------------------


def streamed(mesh: Mesh, key: str, text: str, last: str = "") -> list[list[str]]:
    """The events of a stream of a keyed request that offers a tool, behind one of them."""
    body = {
        "model": ECHO,
        "messages": [{"role": "user", "content": text}],
        "tools": [WEATHER],
        "stream": True,
    }
    headers = {"Idempotency-Key": key} | ({"Last-Event-ID": last} if last else {})
    url = f"{mesh.url}/v1/chat/completions"
    told = httpx.post(url, json=body, headers=headers, timeout=60.0).raise_for_status().text
    return [event.splitlines() for event in told.split("\n\n")]


@pytest.mark.parametrize("text", ["one two<", f"{CALL}", f"{CALL}\n{CALL}"])
def test_whoever_reads_on_is_told_what_an_unbroken_stream_tells(mesh: Mesh, text: str) -> None:
    key = token_hex(8)
    whole = streamed(mesh, key, text)
    numbered = [at for at, event in enumerate(whole) if event and event[0].startswith("id: ")]
    assert len(numbered) > 1
    for at in numbered:
        assert streamed(mesh, key, text, whole[at][0].removeprefix("id: ")) == whole[at + 1 :]
