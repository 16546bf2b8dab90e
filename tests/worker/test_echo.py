"""The echo engine: the contract, and its own rule and knobs."""

import asyncio
from contextlib import aclosing

import pytest
from msgspec.structs import replace

from mesh.gateway.grammar import json_schema, tool_calls
from mesh.gateway.grammar.tool_calls import Function
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.grammar import Grammar
from mesh.protocol.request import Message, Sampling
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import EngineError
from mesh.worker.engines.echo import EchoEngine
from tests.worker.engine_contract import (
    TokenEngineContract,
    after,
    collect,
    job,
    text_of,
    token_count,
)
from tests.worker.listener import UNREAD, Listener, listen


class TestContract(TokenEngineContract):
    LONG = "/repeat over and over"
    SHORT = "said once"

    async def load(self, slots: int) -> EchoEngine:
        return EchoEngine(WorkerSettings(slots=slots))


@pytest.mark.parametrize("text", ["one", " two  words \n", "né 🙂 漢字", "/repeated"])
async def test_it_says_the_last_user_message_once(text: str) -> None:
    engine = EchoEngine(WorkerSettings())
    steps = await collect(engine, job(engine, text, 100))
    assert text_of(steps) == text
    assert steps[-1].finish == "stop"


async def test_a_token_is_a_word_with_the_space_after_it() -> None:
    engine = EchoEngine(WorkerSettings())
    steps = await collect(engine, job(engine, "two  words", 100))
    assert [step.text for step in steps] == ["two  ", "words"]


async def test_it_repeats_when_told_to_until_max_tokens() -> None:
    engine = EchoEngine(WorkerSettings())
    steps = await collect(engine, job(engine, "/repeat a b", 5))
    assert text_of(steps) == "a b a b a "
    assert steps[-1].finish == "length"


@pytest.mark.parametrize(
    ("text", "least", "answer"),
    [("a b", 5, "a b a b a "), ("a  b\n", 2, "a  b\n"), ("", 3, "   ")],
)
async def test_it_does_not_end_before_min_tokens(text: str, least: int, answer: str) -> None:
    engine = EchoEngine(WorkerSettings())
    asked = replace(job(engine, text, 100), sampling=Sampling(min_tokens=least))
    steps = await collect(engine, asked)
    assert (text_of(steps), steps[-1].finish) == (answer, "stop")
    again = await collect(engine, after(replace(asked, max_tokens=97), steps[:1]))
    assert text_of(steps[:1]) + text_of(again) == answer


async def test_what_only_tilts_the_odds_changes_nothing() -> None:
    engine = EchoEngine(WorkerSettings())
    tilted = Sampling(temperature=2.0, top_p=0.1, seed=7, logit_bias={1: -100.0})
    asked = replace(job(engine, "just so", 9), sampling=tilted)
    assert text_of(await collect(engine, asked)) == "just so"


@pytest.mark.parametrize(
    ("sampling", "grammar"),
    [
        (Sampling(banned_strings=("a",)), None),
        (Sampling(min_tokens=2), json_schema.grammar({"type": "null"})),
    ],
    ids=["banned_strings", "min_tokens"],
)
async def test_it_refuses_what_it_cannot_keep_to(
    sampling: Sampling, grammar: Grammar | None
) -> None:
    engine = EchoEngine(WorkerSettings())
    asked = replace(job(engine, "a word", 9), sampling=sampling, grammar=grammar)
    with pytest.raises(MeshError) as refused:
        await collect(engine, asked)
    assert refused.value.code is ErrorCode.UNSUPPORTED
    assert refused.value.param in ("banned_strings", "min_tokens")


@pytest.mark.parametrize("word", ["word ", "a", "<tool_cal"], ids=["words", "one", "nearly a call"])
async def test_other_answers_go_on_while_a_large_outcome_is_looked_at(word: str) -> None:
    engine, size = EchoEngine(WorkerSettings()), 1 << 20
    offered = tool_calls.grammar([Function("f", {"type": "object"}, "")], "text", parallel=True)
    outcome = Message(role="tool", content=(word * size)[:size])
    asked = replace(job(engine, "", 100), messages=(outcome,), grammar=offered)
    clock = asyncio.get_running_loop().time
    async with aclosing(listen(engine, job(engine, "/repeat a", 10**9))) as others:
        await anext(others)
        large = asyncio.create_task(collect(engine, asked))
        longest, last = 0.0, clock()
        async for _ in others:
            now = clock()
            longest, last = max(longest, now - last), now
            if large.done():
                break
    assert text_of(await large).startswith(word)
    assert longest < 2.0  # it was seven


async def test_an_empty_message_has_an_empty_answer() -> None:
    engine = EchoEngine(WorkerSettings())
    steps = await collect(engine, job(engine, "", 5))
    assert (text_of(steps), token_count(steps), steps[-1].finish) == ("", 0, "stop")


async def test_it_goes_on_inside_a_token_too() -> None:
    engine = EchoEngine(WorkerSettings())
    asked = replace(job(engine, "two words", 9), prefix_text="tw", prefix_ids=None)
    assert text_of(await collect(engine, asked)) == "o words"


async def test_it_refuses_to_go_on_from_what_it_never_said() -> None:
    engine = EchoEngine(WorkerSettings())
    others = await collect(engine, job(engine, "something else", 9))
    with pytest.raises(EngineError, match="not an echo"):
        await collect(engine, after(job(engine, "two words", 9), others))


async def test_it_refuses_ids_that_are_not_those_of_the_text() -> None:
    engine = EchoEngine(WorkerSettings())
    asked = replace(job(engine, "two words", 9), prefix_text="two ", prefix_ids=(1,))
    with pytest.raises(EngineError, match="not an echo"):
        await collect(engine, asked)


async def test_it_fails_when_told_to_and_not_before() -> None:
    engine = EchoEngine(WorkerSettings(echo_fail_after=3))
    told = []
    with pytest.raises(EngineError):
        async for step in listen(engine, job(engine, "one two three four", 9)):
            told.append(step.text)
    assert told == ["one ", "two ", "three "]
    assert text_of(await collect(engine, job(engine, "one two", 9))) == "one two"


async def test_it_keeps_its_rate_for_every_answer() -> None:
    engine = EchoEngine(WorkerSettings(echo_rate=100))
    clock = asyncio.get_running_loop().time
    began = clock()
    await asyncio.gather(*(collect(engine, job(engine, "/repeat a", 21)) for _ in range(5)))
    assert clock() - began >= 0.2


async def test_the_first_token_waits_for_the_delay() -> None:
    engine = EchoEngine(WorkerSettings(echo_delay=0.1))
    clock = asyncio.get_running_loop().time
    began = clock()
    await collect(engine, job(engine, "word", 9))
    assert clock() - began >= 0.1


async def test_a_reader_that_had_rather_wait_is_told_no_more_and_others_are() -> None:
    engine, lazy = EchoEngine(WorkerSettings()), Listener()
    waiting = asyncio.create_task(engine.generate(job(engine, "/repeat a", 8000), lazy))
    said = await collect(engine, job(engine, "/repeat a", 2000))
    assert token_count(said) == 2000
    assert lazy.unread.qsize() == UNREAD
    while not waiting.done():
        while not lazy.unread.empty():
            lazy.unread.get_nowait()
        await asyncio.sleep(0)
    await waiting
