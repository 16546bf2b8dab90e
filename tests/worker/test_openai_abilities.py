"""What the openai engine asks of an upstream besides words, and how it writes what comes back."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mesh.gateway.openai import chat_body
from mesh.gateway.openai.speech import Speech, message
from mesh.protocol.abilities import Ability
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.frames import Odds
from mesh.protocol.request import Message, Sampling, ToolCall
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import EngineError, Job
from mesh.worker.engines.openai import OpenAIEngine
from tests.worker.engine_contract import collect, job, text_of
from tests.worker.upstream import Upstream, running

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "How it is out there.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
STRICT = WEATHER | {"function": {**WEATHER["function"], "strict": True}}
UNSURE = WEATHER | {"function": {**WEATHER["function"], "strict": False}}
CLOCK: dict[str, Any] = {
    "type": "function",
    "function": {"name": "clock", "parameters": {"type": "object"}},
}
CLOCK_SHOWN = {"type": "function", "function": {**CLOCK["function"], "description": ""}}
REQUIRED = {"tools": [WEATHER, CLOCK], "tool_choice": "required"}
NAMED = REQUIRED | {"tool_choice": {"type": "function", "function": {"name": "get_weather"}}}
DEEP = '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
OF_SCHEMA = {
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": SCHEMA, "strict": True},
    }
}
JSON_OBJECT = {"response_format": {"type": "json_object"}}
OSLO = '{"city": "Oslo"}'


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with running() as upstream:
        yield upstream


@pytest.fixture
async def engine(upstream: Upstream) -> AsyncIterator[OpenAIEngine]:
    engine = OpenAIEngine(WorkerSettings(engine="openai", model="big", upstream=upstream.url))
    yield engine
    await engine.close()


def asked(engine: OpenAIEngine, **body: Any) -> Job:
    """The job of a chat completion that asks for this."""
    said = {"messages": [{"role": "user", "content": "Hi"}]} | body
    read = chat_body.read(msgspec.json.encode(said))
    made = job(engine, "Hi", 99, read.sampling)
    return replace(made, messages=read.prompts[0], grammar=read.grammar, tools=read.tools)


def call(index: int | None, id: str = "", name: str = "", arguments: str = "") -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    part: dict[str, Any] = {"index": index, "function": function}
    return {"tool_calls": [part | ({"id": id, "type": "function"} if id else {})]}


def read(text: str) -> Message:
    """An answer as any gateway reads it."""
    return message(text, Speech("r", calls=True, thinks=True))


def test_its_card_says_what_it_can(engine: OpenAIEngine) -> None:
    assert set(engine.info.abilities) == {Ability.GRAMMAR, Ability.LOGPROBS, Ability.REASON}


# --- what is asked --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"tools": [WEATHER]}, {"tools": [WEATHER]}),
        ({"tools": [STRICT, CLOCK]}, {"tools": [STRICT, CLOCK_SHOWN]}),
        (
            {"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False},
            {"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False},
        ),
        (
            {
                "tools": [WEATHER, CLOCK],
                "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
            },
            {"tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
        ),
        (
            {"response_format": {"type": "json_object"}},
            {"response_format": {"type": "json_object"}},
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": SCHEMA, "strict": True},
                }
            },
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": SCHEMA, "strict": True},
                }
            },
        ),
        ({"logprobs": True, "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"logprobs": True}, {"logprobs": True}),
    ],
)
async def test_tools_formats_and_odds_are_asked_for_in_its_own_words(
    engine: OpenAIEngine, upstream: Upstream, body: dict[str, Any], sent: dict[str, Any]
) -> None:
    demanded = body.get("tool_choice")
    upstream.deltas = [call(0, "c", "get_weather", OSLO) if demanded else {"content": '{"a": 1}'}]
    likely = {"token": "x", "logprob": -1.0, "top_logprobs": []}
    upstream.logprobs = {"content": [likely]}
    await collect(engine, asked(engine, **body))
    (request,) = upstream.requests
    assert {name: request[name] for name in sent} == sent
    known = {"model", "messages", "max_tokens", "stream", "stream_options", "authorization"}
    assert set(request) - known <= set(sent) | {"tools", "temperature"}


async def test_a_conversation_with_calls_goes_there_as_it_was(
    engine: OpenAIEngine, upstream: Upstream
) -> None:
    upstream.deltas = [{"content": "It rains."}]
    called = ToolCall(id="c1", name="get_weather", arguments='{"city": "Oslo"}')
    messages = (
        Message(role="user", content="How is it?"),
        Message(role="assistant", content="", tool_calls=(called,)),
        Message(role="tool", content="rain", tool_call_id="c1"),
    )
    await collect(engine, replace(asked(engine, tools=[WEATHER]), messages=messages))
    assert upstream.requests[0]["messages"] == [
        {"role": "user", "content": "How is it?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
                }
            ],
        },
        {"role": "tool", "content": "rain", "tool_call_id": "c1"},
    ]


async def test_a_grammar_without_a_word_of_what_it_is_for_is_refused(
    engine: OpenAIEngine,
) -> None:
    made = asked(engine, tools=[WEATHER])
    assert made.grammar is not None
    old = replace(made, grammar=replace(made.grammar, wish=None))
    with pytest.raises(MeshError) as refused:
        await collect(engine, old)
    assert refused.value.code is ErrorCode.UNSUPPORTED


# --- what comes back ------------------------------------------------------------------------------


async def test_calls_come_piece_by_piece_in_the_form_that_gateways_read(
    engine: OpenAIEngine, upstream: Upstream
) -> None:
    upstream.finish = "tool_calls"
    upstream.deltas = [
        {"role": "assistant", "content": None},
        {"reasoning_content": "They ask "},
        {"reasoning_content": "twice."},
        {"content": "Let me "},
        {"content": "look."},
        call(0, "c1", "get_weather"),
        call(0, arguments='{"city"'),
        call(0, arguments=': "Oslo"}'),
        call(1, "c2", "clock"),
        {"content": "\n"},
    ]
    steps = await collect(engine, asked(engine, tools=[WEATHER, CLOCK]))
    text = text_of(steps)
    speech = Speech("r", calls=True, thinks=True)
    parts = [speech.feed(step.text) for step in steps]
    assert "".join(part.reasoning for part in parts).strip() == "They ask twice."
    assert sum(bool(part.reasoning) for part in parts) == 2, "not held back"
    assert speech.complete and steps[-1].finish == "stop"
    said = read(text)
    assert said.content == "Let me look."
    assert [(made.name, made.arguments) for made in said.tool_calls] == [
        ("get_weather", '{"city": "Oslo"}'),
        ("clock", "{}"),
    ]


async def test_calls_that_say_their_name_in_each_part_are_one(
    engine: OpenAIEngine, upstream: Upstream
) -> None:
    upstream.deltas = [
        call(0, "c1", "get_weather", '{"city":'),
        call(0, "c1", "get_weather", '"Oslo"}'),
        call(0, "c2", "get_weather", '{"city":"Rome"}'),
    ]
    said = read(text_of(await collect(engine, asked(engine, tools=[WEATHER]))))
    arguments = [made.arguments for made in said.tool_calls]
    assert arguments == ['{"city":"Oslo"}', '{"city":"Rome"}']


async def test_thoughts_are_told_apart_from_what_is_said(
    engine: OpenAIEngine, upstream: Upstream
) -> None:
    upstream.deltas = [{"reasoning": "Hm</think>m."}, {"content": "Two."}, {"reasoning": "late"}]
    text = text_of(await collect(engine, asked(engine)))
    assert text == "<think>Hmm.</think>\nTwo."


@pytest.mark.parametrize(
    ("deltas", "finish", "text"),
    [
        ([{"reasoning": "Hm</thi"}, {"reasoning": "nk>m."}], "stop", "<think>Hmm.</think>\n"),
        ([{"reasoning": "<"}, {"content": "Two."}], "stop", "<think><</think>\nTwo."),
        ([{"reasoning": "a <"}, {"reasoning": " b"}], "length", "<think>a < b"),
        ([{"reasoning": "so</"}], "length", "<think>so</"),
        ([{"reasoning": "<"}], "length", "<think><"),
        (
            [{"reasoning": "Hm"}, {"content": "\n"}, {"reasoning": "m."}, {"content": "Two."}],
            "stop",
            "<think>Hmm.</think>\nTwo.",
        ),
    ],
)
async def test_marks_in_thoughts_are_taken_out_wherever_they_are_split(
    engine: OpenAIEngine, upstream: Upstream, deltas: list[dict[str, Any]], finish: str, text: str
) -> None:
    upstream.finish, upstream.deltas = finish, deltas
    assert text_of(await collect(engine, asked(engine))) == text


async def test_a_call_that_is_cut_off_stays_open(engine: OpenAIEngine, upstream: Upstream) -> None:
    upstream.finish = "length"
    upstream.deltas = [call(0, "c1", "get_weather", '{"city": "Os')]
    steps = await collect(engine, asked(engine, tools=[WEATHER]))
    speech = Speech("r", calls=True, thinks=False)
    speech.feed(text_of(steps))
    assert steps[-1].finish == "length" and not speech.complete


@pytest.mark.parametrize(
    ("body", "deltas", "why"),
    [
        ({"tools": [WEATHER]}, [call(0, "c", "rm", "{}")], "not offered"),
        ({"tools": [WEATHER]}, [call(0, "c", "get_weather", "[1]")], "no JSON object"),
        ({"tools": [WEATHER]}, [call(0, "c", "get_weather", '{"a')], "no JSON object"),
        ({"tools": [WEATHER]}, [call(0, "c", "get_weather", DEEP)], "no JSON object"),
        ({"tools": [WEATHER]}, [call(0, arguments="{}")], "not begun"),
        (
            {"tools": [WEATHER]},
            [call(0, "c", "get_weather"), call(1, arguments="{}")],
            "not begun",
        ),
        (
            {"tools": [WEATHER]},
            [call(0, "c", "get_weather", '{"city": ""}'), {"content": "more"}],
            "went on speaking",
        ),
        ({"tools": [WEATHER]}, [{"content": "<tool"}, {"content": "_call>"}], "instead of a call"),
        (JSON_OBJECT, [{"content": "Sure!"}], "not JSON"),
        (JSON_OBJECT, [{"content": "[1]"}], "the whole has to be of type object"),
        (OF_SCHEMA, [{"content": '{"b":"not an '}, {"content": 'integer"}'}], r"\.a is missing"),
        (OF_SCHEMA, [{"content": '{"a": "1"}'}], r"\.a has to be of type integer"),
        (
            {"tools": [STRICT]},
            [call(0, "c", "get_weather", '{"city": 7}')],
            r"'get_weather' with arguments .* \.city has to be of type string",
        ),
        (
            {"tools": [STRICT, CLOCK]},
            [call(0, "c", "get_weather"), call(1, "d", "clock")],
            r"\.city is missing",
        ),
        (REQUIRED, [{"content": "It rains."}], "called nothing"),
        (REQUIRED, [{"reasoning": "Hm."}], "called nothing"),
        (NAMED, [{"content": "It rains."}], "called nothing"),
        (NAMED, [call(0, "c", "clock", "{}")], "though 'get_weather' was demanded"),
        (
            {"tools": [WEATHER], "parallel_tool_calls": False},
            [call(0, "c", "get_weather", OSLO), call(1, "d", "get_weather", OSLO)],
            "more than once",
        ),
    ],
)
async def test_what_was_not_asked_for_is_no_answer(
    engine: OpenAIEngine,
    upstream: Upstream,
    body: dict[str, Any],
    deltas: list[dict[str, Any]],
    why: str,
) -> None:
    upstream.deltas = deltas
    with pytest.raises(EngineError, match=why):
        await collect(engine, asked(engine, **body))


@pytest.mark.parametrize("tool", [WEATHER, UNSURE])
async def test_a_call_of_a_tool_that_is_not_strict_is_told_as_it_is(
    engine: OpenAIEngine, upstream: Upstream, tool: dict[str, Any]
) -> None:
    upstream.deltas = [call(0, "c", "get_weather", '{"town": 7}')]
    said = read(text_of(await collect(engine, asked(engine, tools=[tool]))))
    assert [made.arguments for made in said.tool_calls] == ['{"town": 7}']


@pytest.mark.parametrize("body", [REQUIRED, NAMED])
async def test_what_was_cut_off_may_lack_the_call_that_was_demanded(
    engine: OpenAIEngine, upstream: Upstream, body: dict[str, Any]
) -> None:
    upstream.finish, upstream.deltas = "length", [{"content": "Let me"}]
    steps = await collect(engine, asked(engine, **body))
    assert (text_of(steps), steps[-1].finish) == ("Let me", "length")


@pytest.mark.parametrize("body", [REQUIRED, NAMED, REQUIRED | {"parallel_tool_calls": False}])
async def test_the_call_that_was_demanded_is_an_answer(
    engine: OpenAIEngine, upstream: Upstream, body: dict[str, Any]
) -> None:
    upstream.deltas = [call(0, "c", "get_weather", OSLO[:5]), call(0, arguments=OSLO[5:])]
    said = read(text_of(await collect(engine, asked(engine, **body))))
    assert [(made.name, made.arguments) for made in said.tool_calls] == [("get_weather", OSLO)]


@pytest.mark.parametrize("finish", ["stop", "length"])
@pytest.mark.parametrize("text", ['{"c": null, "a": 1.0}', '\n{\n  "a": 1\n}'])
async def test_what_the_schema_allows_is_an_answer_however_it_is_written(
    engine: OpenAIEngine, upstream: Upstream, finish: str, text: str
) -> None:
    upstream.finish, upstream.deltas = finish, [{"content": part} for part in text]
    steps = await collect(engine, asked(engine, **OF_SCHEMA))
    assert (text_of(steps), steps[-1].finish) == (text, finish)


async def test_what_was_cut_off_need_not_be_of_the_schema(
    engine: OpenAIEngine, upstream: Upstream
) -> None:
    upstream.finish, upstream.deltas = "length", [{"content": '{"b": "not'}]
    steps = await collect(engine, asked(engine, **OF_SCHEMA))
    assert (text_of(steps), steps[-1].finish) == ('{"b": "not', "length")


async def test_how_likely_tokens_were_is_told(engine: OpenAIEngine, upstream: Upstream) -> None:
    likely = {"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}
    other = likely | {"token": "b", "logprob": -0.25}
    top = [{"token": "b", "logprob": -0.25, "bytes": None}]
    upstream.deltas = [{"content": "ab"}]
    upstream.logprobs = {"content": [likely, other | {"top_logprobs": top}]}
    steps = await collect(engine, asked(engine, logprobs=True, top_logprobs=1))
    assert steps[0].odds == Odds(-0.75, (("b", -0.25),))


async def test_an_upstream_that_tells_no_odds_is_said_to(
    engine: OpenAIEngine, upstream: Upstream
) -> None:
    upstream.deltas = [{"reasoning": "Hm."}, {"content": "ab"}]
    with pytest.raises(MeshError) as refused:
        await collect(engine, replace(asked(engine), sampling=Sampling(logprobs=0)))
    assert (refused.value.code, refused.value.param) == (ErrorCode.UNSUPPORTED, "logprobs")
