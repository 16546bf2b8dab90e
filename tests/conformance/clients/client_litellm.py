"""litellm, as a library: what it can ask an OpenAI-compatible server for."""

import json
from typing import Any

import litellm
import pytest

CLIENT = "litellm"

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture
def given(url: str) -> dict[str, Any]:
    return {"model": "openai/scripted", "api_base": url, "api_key": "guest"}


def asked(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.mark.shows("chat: whole answers", "chat: streams")
def test_answers(given: dict[str, Any]) -> None:
    found = litellm.completion(**given, messages=asked("one two"))
    assert found.choices[0].message.content == "one two" and found.usage.completion_tokens == 2
    chunks = list(litellm.completion(**given, messages=asked("one two"), stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two"


@pytest.mark.shows("asynchronous clients")
async def test_async(given: dict[str, Any]) -> None:
    found = await litellm.acompletion(**given, messages=asked("one two"))
    assert found.choices[0].message.content == "one two"


@pytest.mark.shows("chat: tools")
def test_tools(given: dict[str, Any]) -> None:
    weather = asked("What is the weather in Oslo?")
    found = litellm.completion(**given, messages=weather, tools=[TOOL], tool_choice="required")
    (call,) = found.choices[0].message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    chunks = list(litellm.completion(**given, messages=weather, tools=[TOOL], stream=True))
    whole = litellm.stream_chunk_builder(chunks)
    (call,) = whole.choices[0].message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Oslo"}


@pytest.mark.shows("chat: JSON Schema")
def test_a_schema(given: dict[str, Any]) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    format = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}
    found = litellm.completion(
        **given, messages=asked("Ada is 36 years old"), response_format=format
    )
    assert json.loads(found.choices[0].message.content) == {"name": "Ada", "age": 36}


@pytest.mark.shows("chat: thoughts apart")
def test_thoughts(given: dict[str, Any]) -> None:
    found = litellm.completion(**given, messages=asked("<think>\nhm</think>\n\nYes."))
    message = found.choices[0].message
    assert (message.reasoning_content.strip(), message.content) == ("hm", "Yes.")


@pytest.mark.shows("completions", "embeddings", "responses: whole answers")
def test_other_routes(given: dict[str, Any]) -> None:
    text = litellm.text_completion(
        **given | {"model": "text-completion-openai/echo"}, prompt="one two"
    )
    assert text.choices[0].text
    vectors = litellm.embedding(**given | {"model": "openai/tiny"}, input=["a", "b"])
    assert len(vectors.data) == 2
    response = litellm.responses(**given, input="one two")
    assert response.output[0].content[0].text == "one two"


@pytest.mark.shows("errors, as the client's exceptions")
def test_errors(given: dict[str, Any]) -> None:
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(**given | {"model": "openai/nobody"}, messages=asked("x"))
