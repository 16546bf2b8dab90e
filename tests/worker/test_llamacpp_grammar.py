"""What llama.cpp is held to: schemas, calls, and the rest of either behind a prefix."""

import json
from collections.abc import AsyncIterator
from random import Random

import pytest
from msgspec.structs import replace

from mesh.gateway.grammar import json_schema, tool_calls
from mesh.gateway.grammar.tool_calls import Function
from mesh.protocol.request import Sampling
from mesh.settings import WorkerSettings
from mesh.worker.bundled import PATH
from mesh.worker.engines.base import EngineError
from mesh.worker.engines.llamacpp import LlamaCppEngine
from mesh.worker.grammar import fits
from tests.schemas import check, schema
from tests.worker.engine_contract import GREEDY, after, collect, job, text_of

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "likes": {"type": "array", "items": {"enum": ["tea", "rain"]}, "maxItems": 3},
    },
    "required": ["name", "age", "likes"],
}


@pytest.fixture
async def engine() -> AsyncIterator[LlamaCppEngine]:
    engine = await LlamaCppEngine.load(PATH, WorkerSettings(slots=2, context=1024))
    yield engine
    await engine.close()


async def test_what_ends_by_itself_is_valid_under_its_schema(engine: LlamaCppEngine) -> None:
    ended = 0
    for seed in range(25):
        asked = schema(Random(seed))
        held = replace(
            job(engine, "Tell me about Ada.", 120, Sampling(temperature=1.0), seed),
            grammar=json_schema.grammar(asked),
        )
        steps = await collect(engine, held)
        if steps[-1].finish == "stop":
            ended += 1
            check(json.loads(text_of(steps)), asked)
    assert ended > 20


async def test_it_goes_on_within_its_format_from_every_token(engine: LlamaCppEngine) -> None:
    grammar = json_schema.grammar(PERSON)
    asked = replace(job(engine, "Who are you?", 80, GREEDY), grammar=grammar)
    whole = await collect(engine, asked)
    assert whole[-1].finish == "stop"
    check(json.loads(text_of(whole)), PERSON)
    said = [step for step in whole if step.text]
    for delivered in range(0, len(said) + 1, 3):
        rest = await collect(engine, after(asked, said[:delivered]))
        assert text_of(said[:delivered]) + text_of(rest) == text_of(whole)
        assert rest[-1].finish == "stop"


async def test_it_calls_what_it_has_to_call(engine: LlamaCppEngine) -> None:
    grammar = tool_calls.grammar([Function("get_weather", PERSON, "")], None, parallel=False)
    asked = replace(job(engine, "Hello", 120, GREEDY), grammar=grammar)
    assert fits(grammar, text_of(await collect(engine, asked)))


async def test_without_need_it_says_what_it_would_say_anyway(engine: LlamaCppEngine) -> None:
    asked = job(engine, "Hello", 30, GREEDY)
    grammar = tool_calls.grammar([Function("f", PERSON, "")], "text", parallel=True)
    free = await collect(engine, asked)
    assert text_of(await collect(engine, replace(asked, grammar=grammar))) == text_of(free)


async def test_a_prefix_that_does_not_fit_is_said_to_be_none(engine: LlamaCppEngine) -> None:
    asked = replace(job(engine, "Hello", 30), grammar=json_schema.grammar(PERSON))
    with pytest.raises(EngineError, match="does not fit"):
        await collect(engine, replace(asked, prefix_text="Hello", prefix_ids=None))


async def test_how_likely_its_tokens_were_is_told_of_each(engine: LlamaCppEngine) -> None:
    asked = job(engine, "Hello", 12, Sampling(temperature=0, logprobs=3))
    for step in await collect(engine, asked):
        if not step.text:
            continue
        assert step.odds is not None and len(step.odds.top) == 3
        assert step.odds.top[0] == (step.text, step.odds.logprob)
