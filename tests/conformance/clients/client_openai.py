"""OpenAI's own client, of either major version: models, chats, texts and embeddings, every answer
held to its types. Responses and errors have files of their own."""

import json
from math import isclose
from typing import Annotated, Any
from urllib.request import Request, urlopen

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai_held import (  # type: ignore[import-not-found]
    ECHO,
    HELLO,
    MODEL,
    OURS,
    TINY,
    TOOL,
    WEATHER,
    checked,
    held_text,
    strict,
    unknown,
)
from pydantic import BaseModel, Field

CLIENT = "openai"


class Person(BaseModel):
    name: Annotated[str, Field(max_length=20)]
    age: Annotated[int, Field(ge=0, le=150)]


# --- models ---------------------------------------------------------------------------------------


@pytest.mark.shows("models: listed, found by name")
def test_models(client: OpenAI) -> None:
    listed = {model.id: model for model in strict(client.models.with_raw_response.list()).data}
    assert {MODEL, ECHO, TINY} <= listed.keys()
    for name, model in listed.items():
        assert strict(client.models.with_raw_response.retrieve(name)) == model
        assert unknown(model) <= OURS and model.owned_by


# --- chat completions -----------------------------------------------------------------------------


@pytest.mark.shows("chat: whole answers")
@pytest.mark.parametrize("model", [ECHO, TINY])
def test_a_chat(client: OpenAI, model: str) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=HELLO, max_completion_tokens=20, temperature=0, seed=7
    )
    found = strict(raw)
    assert found.choices[0].message.content and found.usage.completion_tokens > 0
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens


@pytest.mark.shows("chat: streams")
@pytest.mark.parametrize("model", [ECHO, TINY])
def test_a_streamed_chat(client: OpenAI, model: str) -> None:
    options: Any = {"model": model, "messages": HELLO, "max_tokens": 20, "temperature": 0}
    chunks = checked(
        client.chat.completions.create(
            **options, stream=True, stream_options={"include_usage": True}
        )
    )
    *spoken, last = chunks
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert (last.choices, last.usage is not None) == ([], True)
    assert spoken[-1].choices[0].finish_reason in ("stop", "length")
    whole = client.chat.completions.create(**options).choices[0].message.content
    assert "".join(chunk.choices[0].delta.content or "" for chunk in spoken) == whole


@pytest.mark.shows("chat: streams")
def test_the_stream_helper(client: OpenAI) -> None:
    with client.chat.completions.stream(model=ECHO, messages=HELLO) as stream:
        assert stream.get_final_completion().choices[0].message.content == "one two three"


@pytest.mark.shows("chat: `n`")
def test_several_answers(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model=ECHO, messages=HELLO, n=3)
    assert [choice.index for choice in strict(raw).choices] == [0, 1, 2]
    chunks = checked(client.chat.completions.create(model=ECHO, messages=HELLO, n=2, stream=True))
    assert {choice.index for chunk in chunks for choice in chunk.choices} == {0, 1}


@pytest.mark.shows("chat: `logprobs`")
@pytest.mark.parametrize("model", [ECHO, TINY])
def test_logprobs(client: OpenAI, model: str) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=HELLO, logprobs=True, top_logprobs=3, max_tokens=12
    )
    choice = strict(raw).choices[0]
    assert "".join(each.token for each in choice.logprobs.content) == choice.message.content
    assert {len(each.top_logprobs) for each in choice.logprobs.content} == {3}


@pytest.mark.shows("chat: `logprobs`", "chat: streams")
@pytest.mark.parametrize("model", [ECHO, TINY])
@pytest.mark.parametrize("n", [1, 2])
def test_streamed_logprobs(client: OpenAI, model: str, n: int) -> None:
    chunks = checked(
        client.chat.completions.create(
            model=model,
            messages=HELLO,
            logprobs=True,
            top_logprobs=2,
            max_tokens=12,
            n=n,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    for index in range(n):
        parts = [each for chunk in chunks for each in chunk.choices if each.index == index]
        text = "".join(part.delta.content or "" for part in parts)
        likely = [each for part in parts if part.logprobs for each in part.logprobs.content]
        assert text and "".join(each.token for each in likely) == text
        assert {len(each.top_logprobs) for each in likely} == {2}
        assert [part.finish_reason for part in parts].count(None) == len(parts) - 1
    assert chunks[-1].usage is not None


@pytest.mark.shows("chat: `logprobs`")
def test_logprobs_without_others(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=ECHO, messages=HELLO, logprobs=True
    )
    likely = strict(raw).choices[0].logprobs
    assert likely.refusal is None and all(each.top_logprobs == [] for each in likely.content)


@pytest.mark.shows("chat: `stop`")
def test_stop(client: OpenAI) -> None:
    found = client.chat.completions.create(model=ECHO, messages=HELLO, stop=["wo th"])
    assert found.choices[0].message.content == "one t"
    assert found.choices[0].finish_reason == "stop"


@pytest.mark.shows("chat: `seed`")
def test_seed(client: OpenAI) -> None:
    def said(seed: int) -> str | None:
        found = client.chat.completions.create(
            model=TINY, messages=HELLO, seed=seed, temperature=1.5, max_tokens=20
        )
        return found.choices[0].message.content

    assert said(1) == said(1)
    assert len({said(seed) for seed in range(4)}) > 1


@pytest.mark.shows("chat: `logit_bias`")
def test_logit_bias(client: OpenAI, mesh: str) -> None:
    body = json.dumps({"model": TINY, "prompt": "fox"}).encode()
    with urlopen(Request(f"{mesh}/tokenize", body, method="POST")) as answer:
        token = json.load(answer)["tokens"][0]
    said: Any = {"model": TINY, "messages": HELLO, "temperature": 0, "max_tokens": 1}
    plain = client.chat.completions.create(**said, logprobs=True).choices[0]
    biased = client.chat.completions.create(**said, logit_bias={str(token): 100}).choices[0]
    assert plain.message.content != biased.message.content


@pytest.mark.shows("chat: tools")
def test_tools(client: OpenAI) -> None:
    forced: Any = {"type": "function", "function": {"name": "get_weather"}}
    for choice in ("auto", "required", forced):
        raw = client.chat.completions.with_raw_response.create(
            model=MODEL, messages=WEATHER, tools=[TOOL], tool_choice=choice
        )
        found = strict(raw).choices[0]
        (call,) = found.message.tool_calls
        assert found.finish_reason == "tool_calls"
        assert json.loads(call.function.arguments) == {"city": "Oslo"}
    chunks = checked(
        client.chat.completions.create(model=MODEL, messages=WEATHER, tools=[TOOL], stream=True)
    )
    deltas = [d for c in chunks for ch in c.choices for d in ch.delta.tool_calls or ()]
    assert deltas[0].id and deltas[0].function.name == "get_weather"
    pieces = "".join(delta.function.arguments or "" for delta in deltas)
    assert json.loads(pieces) == {"city": "Oslo"} and len(deltas) > 2


@pytest.mark.shows("chat: tools", "chat: `n`")
def test_several_answers_that_call(client: OpenAI) -> None:
    asked: Any = {"model": MODEL, "messages": WEATHER, "tools": [TOOL], "n": 2}
    found = strict(client.chat.completions.with_raw_response.create(**asked)).choices
    assert [choice.finish_reason for choice in found] == ["tool_calls"] * 2
    assert len({choice.message.tool_calls[0].id for choice in found}) == 2
    chunks = checked(client.chat.completions.create(**asked, stream=True))
    deltas = [
        (choice.index, each.id)
        for chunk in chunks
        for choice in chunk.choices
        for each in choice.delta.tool_calls or ()
        if each.id
    ]
    assert {index for index, _ in deltas} == {0, 1} and len(set(deltas)) == 2


@pytest.mark.shows("chat: tools")
def test_tool_outcomes(client: OpenAI) -> None:
    asked = client.chat.completions.create(model=MODEL, messages=WEATHER, tools=[TOOL])
    message = asked.choices[0].message
    assert message.tool_calls
    outcome: Any = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Rain."}
    turns: Any = [*WEATHER, message.model_dump(exclude_none=True), outcome]
    told = client.chat.completions.create(model=MODEL, messages=turns, tools=[TOOL])
    assert told.choices[0].message.content == "Rain."


GIVEN_BACK: Any = [
    lambda message: message,
    lambda message: message.model_dump(),
    lambda message: message.model_dump(exclude_none=True),
    lambda message: message.to_dict(),
]
"""How programs put an answer's message into the next conversation."""


def answered(client: OpenAI, streamed: bool, **asked: Any) -> Any:
    """An answer's message, as the client's own helpers make it."""
    if not streamed:
        return client.chat.completions.parse(model=MODEL, **asked).choices[0].message
    with client.chat.completions.stream(model=MODEL, **asked) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion().choices[0].message


class GetWeather(BaseModel):
    city: str


HELPED: Any = [TOOL | {"function": TOOL["function"] | {"strict": True}}]
PYDANTIC: Any = [openai.pydantic_function_tool(GetWeather, name="get_weather")]


@pytest.mark.shows("chat: tools")
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("given_back", GIVEN_BACK)
@pytest.mark.parametrize("tools", [HELPED, PYDANTIC])
def test_calls_that_the_helpers_have_read(
    client: OpenAI, streamed: bool, given_back: Any, tools: Any
) -> None:
    message = answered(client, streamed, messages=WEATHER, tools=tools)
    (call,) = message.tool_calls
    assert call.function.parsed_arguments in ({"city": "Oslo"}, GetWeather(city="Oslo"))
    outcome = {"role": "tool", "tool_call_id": call.id, "content": "Rain."}
    turns: Any = [*WEATHER, given_back(message), outcome]
    told = client.chat.completions.create(model=MODEL, messages=turns, tools=tools)
    assert told.choices[0].message.content == "Rain."


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.shows("chat: JSON Schema")
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("given_back", GIVEN_BACK)
@pytest.mark.parametrize("format", [Person, None])
def test_an_answer_that_the_helpers_have_read(
    client: OpenAI, streamed: bool, given_back: Any, format: Any
) -> None:
    asked: Any = [{"role": "user", "content": "Ada is 36 years old"}]
    formats = {"response_format": format} if format else {}
    message = answered(client, streamed, messages=asked, **formats)
    assert not format or message.parsed == Person(name="Ada", age=36)
    turns: Any = [*asked, given_back(message), {"role": "user", "content": "Thanks."}]
    told = client.chat.completions.create(model=MODEL, messages=turns)
    assert told.choices[0].message.content == "Thanks."


@pytest.mark.shows("chat: JSON Schema")
@pytest.mark.parametrize("model", [MODEL, TINY])
def test_json_schema(client: OpenAI, model: str) -> None:
    asked: Any = [{"role": "user", "content": "Ada is 36 years old"}]
    found = client.chat.completions.parse(
        model=model, messages=asked, response_format=Person, max_tokens=200
    )
    choice = found.choices[0]
    assert choice.finish_reason == "stop" and isinstance(choice.message.parsed, Person)
    if model == MODEL:
        assert choice.message.parsed == Person(name="Ada", age=36)


@pytest.mark.shows("chat: JSON mode")
def test_json_mode(client: OpenAI) -> None:
    found = client.chat.completions.create(
        model=MODEL, messages=HELLO, response_format={"type": "json_object"}
    )
    assert isinstance(json.loads(found.choices[0].message.content or ""), dict)


@pytest.mark.shows("chat: JSON Schema")
def test_a_bad_schema(client: OpenAI) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^a+$"}}}
    format: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=ECHO, messages=HELLO, response_format=format)
    assert refused.value.param and refused.value.param.endswith("pattern")


@pytest.mark.shows("chat: thoughts apart")
def test_reasoning(client: OpenAI) -> None:
    asked: Any = [{"role": "user", "content": "<think>\nhm</think>\n\nYes."}]
    message: Any = client.chat.completions.create(model=ECHO, messages=asked).choices[0].message
    assert (message.reasoning_content.strip(), message.content) == ("hm", "Yes.")


@pytest.mark.shows("asynchronous clients")
async def test_async(aclient: AsyncOpenAI) -> None:
    found = await aclient.chat.completions.create(model=ECHO, messages=HELLO)
    assert found.choices[0].message.content == "one two three"
    stream = await aclient.chat.completions.create(model=ECHO, messages=HELLO, stream=True)
    said = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(said) == "one two three"


# --- texts ----------------------------------------------------------------------------------------


@pytest.mark.shows("completions")
def test_completions(client: OpenAI) -> None:
    raw = client.completions.with_raw_response.create(
        model=ECHO, prompt=["one two", "three"], logprobs=2
    )
    assert len(strict(raw).choices) == 2


@pytest.mark.shows("completions")
def test_completions_with_everything(client: OpenAI) -> None:
    told: Any = client.completions.with_raw_response
    found = strict(told.create(model=ECHO, prompt="one two", echo=True, n=2))
    assert [choice.index for choice in found.choices] == [0, 1]
    assert all(choice.text.startswith("one two") for choice in found.choices)
    sure = {"logprobs": 2, "n": 2, "max_tokens": 5, "temperature": 0}  # it might say nothing
    likely = strict(told.create(model=TINY, prompt="one two", **sure))
    for choice in likely.choices:
        odds = choice.logprobs
        assert "".join(odds.tokens) == choice.text
        assert len(odds.tokens) == len(odds.token_logprobs) == len(odds.text_offset)
        assert {len(top) for top in odds.top_logprobs} <= {2, 3}
    assert likely.usage.completion_tokens == sum(len(c.logprobs.tokens) for c in likely.choices)


@pytest.mark.shows("completions")
@pytest.mark.parametrize(
    ("options", "choices"),
    [({}, 1), ({"echo": True, "n": 2}, 2), ({"logprobs": 2}, 1), ({"prompt": ["one", "two"]}, 2)],
)
def test_streamed_completions(client: OpenAI, options: Any, choices: int) -> None:
    asked = {"model": ECHO, "prompt": "one two", "stream_options": {"include_usage": True}}
    with client.completions.with_streaming_response.create(
        **asked | options, stream=True
    ) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if "data: " in line]
    assert lines.pop() == "[DONE]"
    *chunks, last = [held_text(line) for line in lines]
    assert last.choices == [] and last.usage and last.usage.completion_tokens
    assert {chunk.id for chunk in chunks} == {last.id}
    parts = [choice for chunk in chunks for choice in chunk.choices]
    assert {part.index for part in parts} == set(range(choices))
    if "logprobs" in options:
        odds = [part.logprobs for part in parts if part.logprobs is not None]
        assert [token for each in odds for token in each.tokens or ()] == [
            part.text for part in parts if part.text
        ]


@pytest.mark.shows("embeddings")
@pytest.mark.parametrize("model", [ECHO, TINY])
def test_embeddings(client: OpenAI, model: str) -> None:
    texts = ["a fox and a dog", "a dog and a fox", "rain"]
    raw = client.embeddings.with_raw_response.create(
        model=model, input=texts, encoding_format="float"
    )
    found = strict(raw)
    assert [each.index for each in found.data] == [0, 1, 2] and found.usage.prompt_tokens > 0
    for each in found.data:
        assert isclose(sum(number**2 for number in each.embedding), 1, rel_tol=1e-4)
    lenient = OpenAI(base_url=client.base_url, api_key="guest")  # reads base64, and wants a list
    decoded = lenient.embeddings.create(model=model, input=texts)
    lenient.close()
    assert unknown(decoded) == set() and decoded.usage == found.usage
    for one, other in zip(found.data, decoded.data, strict=True):
        numbers = zip(one.embedding, other.embedding, strict=True)
        assert all(isclose(a, b, abs_tol=1e-6) for a, b in numbers)
