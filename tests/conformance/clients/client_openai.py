"""OpenAI's own client, of either major version: every route, every answer held to its types."""

import json
from collections.abc import AsyncIterator, Iterator
from math import isclose
from typing import Annotated, Any
from urllib.request import Request, urlopen

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, Field

CLIENT = "openai"

MODEL, ECHO, SLOW, FAILING, TINY = "scripted", "echo", "slow", "failing", "tiny"
HELLO: Any = [{"role": "user", "content": "one two three"}]
WEATHER: Any = [{"role": "user", "content": "What is the weather in Oslo?"}]
OURS = {"reasoning_content", "available", "context_length", "engine", "abilities", "store"}
"""What answers have that OpenAI's types do not know. `store` is told by OpenAI itself, too."""

PARAMETERS: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}
FLAT: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": PARAMETERS,
    "strict": True,
}


class Person(BaseModel):
    name: Annotated[str, Field(max_length=20)]
    age: Annotated[int, Field(ge=0, le=150)]


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    """A client that takes nothing which is not of its types."""
    with OpenAI(
        base_url=url, api_key="guest", max_retries=0, _strict_response_validation=True
    ) as found:
        yield found


@pytest.fixture
async def aclient(url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=url, api_key="guest", max_retries=0, _strict_response_validation=True
    ) as found:
        yield found


def strict(raw: Any) -> Any:
    """What a raw response holds, held to its type without any coercion, and to nothing more."""
    found = raw.parse()
    type(found).model_validate_json(raw.text, strict=True)
    assert unknown(found) <= OURS
    return found


def unknown(found: Any) -> set[str]:
    """The keys that the client's types do not know, however deep."""
    if isinstance(found, list | tuple):
        return set().union(*map(unknown, found))
    if not isinstance(found, BaseModel):
        return set()
    extra = set(found.model_extra or {})
    return extra.union(*(unknown(getattr(found, name)) for name in type(found).model_fields))


def checked(stream: Any) -> list[Any]:
    """The events of a stream, none with anything that their types do not know."""
    events = list(stream)
    for event in events:
        type(event).model_validate(event.model_dump(warnings="error"), strict=False)
        assert unknown(event) <= OURS
    return events


# --- models and errors ----------------------------------------------------------------------------


@pytest.mark.shows("models: listed, found by name")
def test_models(client: OpenAI) -> None:
    listed = [model.id for model in client.models.list()]
    assert {MODEL, ECHO, TINY} <= set(listed)
    assert strict(client.models.with_raw_response.retrieve(MODEL)).id == MODEL


@pytest.mark.shows("errors, as the client's exceptions")
def test_errors(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.models.retrieve("nobody")
    assert missing.value.code == "model_not_found" and missing.value.request_id
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=ECHO, messages=HELLO, extra_body={"frobnicate": 1})
    assert (refused.value.param, refused.value.code) == ("frobnicate", "unsupported")


@pytest.mark.shows("errors in mid-stream")
def test_errors_in_mid_stream(client: OpenAI) -> None:
    endless: Any = [{"role": "user", "content": "/repeat a b"}]
    stream = client.chat.completions.create(model=FAILING, messages=endless, stream=True)
    with pytest.raises(openai.APIError) as failed:
        list(stream)
    assert failed.value.code == "engine_failed"


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


@pytest.mark.shows("chat: tools")
def test_tool_outcomes(client: OpenAI) -> None:
    asked = client.chat.completions.create(model=MODEL, messages=WEATHER, tools=[TOOL])
    message = asked.choices[0].message
    assert message.tool_calls
    outcome: Any = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Rain."}
    turns: Any = [*WEATHER, message.model_dump(exclude_none=True), outcome]
    told = client.chat.completions.create(model=MODEL, messages=turns, tools=[TOOL])
    assert told.choices[0].message.content == "Rain."


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
    echoed = client.completions.create(model=ECHO, prompt="one two", echo=True)
    assert echoed.choices[0].text.startswith("one two")
    lenient = client.with_options(max_retries=0)
    lenient._strict_response_validation = False  # its type has no null, which OpenAI sends too
    chunks = list(lenient.completions.create(model=ECHO, prompt="one two", stream=True))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices)


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
    for one, other in zip(found.data, decoded.data, strict=True):
        numbers = zip(one.embedding, other.embedding, strict=True)
        assert all(isclose(a, b, abs_tol=1e-6) for a, b in numbers)


# --- responses ------------------------------------------------------------------------------------


@pytest.mark.shows("responses: whole answers")
def test_a_response(client: OpenAI) -> None:
    made = strict(
        client.responses.with_raw_response.create(
            model=ECHO, input="one two", instructions="Be an echo.", metadata={"a": "b"}
        )
    )
    assert (made.status, made.output_text) == ("completed", "one two")
    assert strict(client.responses.with_raw_response.retrieve(made.id)).output == made.output


@pytest.mark.shows("responses: streams, read on")
def test_a_streamed_response(client: OpenAI) -> None:
    events = checked(client.responses.create(model=ECHO, input="one two", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kept = events[-1].response.id
    rest = checked(client.responses.retrieve(kept, stream=True, starting_after=3))
    assert rest == events[4:]


@pytest.mark.shows("responses: in the background")
def test_a_response_in_the_background(client: OpenAI) -> None:
    made = client.responses.create(model=SLOW, input="/repeat a", background=True)
    assert made.status in ("queued", "in_progress")
    stopped = strict(client.responses.with_raw_response.cancel(made.id))
    assert stopped.status == "cancelled"


@pytest.mark.shows("responses: conversations")
def test_a_conversation(client: OpenAI) -> None:
    first = client.responses.create(model=ECHO, input="one", instructions="Be an echo.")
    second = client.responses.create(model=ECHO, input="two", previous_response_id=first.id)
    items: Any = list(client.responses.input_items.list(second.id, order="asc", limit=1))
    assert unknown(items) == set()
    said = [(item.role, item.content[0].text) for item in items]
    assert said == [("user", "one"), ("assistant", "one"), ("user", "two")]


@pytest.mark.shows("responses: tools")
def test_a_response_that_calls(client: OpenAI) -> None:
    raw = client.responses.with_raw_response.create(model=MODEL, input=WEATHER, tools=[FLAT])
    made = strict(raw)
    (call,) = made.output
    assert json.loads(call.arguments) == {"city": "Oslo"}
    outcome: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "Rain."}
    told = client.responses.create(
        model=MODEL, input=[outcome], previous_response_id=made.id, tools=[FLAT]
    )
    assert told.output_text == "Rain."
    items = list(client.responses.input_items.list(told.id, order="asc"))
    assert [item.type for item in items] == ["message", "function_call", "function_call_output"]


@pytest.mark.shows("responses: JSON Schema")
def test_a_parsed_response(client: OpenAI) -> None:
    made = client.responses.parse(model=MODEL, input="Ada is 36 years old", text_format=Person)
    assert made.output_parsed == Person(name="Ada", age=36)
