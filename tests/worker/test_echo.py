"""The echo engine: the contract, and its own rule and knobs."""

import asyncio

import pytest
from msgspec.structs import replace

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
        async for step in engine.generate(job(engine, "one two three four", 9)):
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


async def test_a_reader_that_does_not_read_does_not_fill_the_memory() -> None:
    engine = EchoEngine(WorkerSettings())
    lazy = engine.generate(job(engine, "/repeat a", 8000))
    await anext(lazy)
    steps = await collect(engine, job(engine, "/repeat a", 2000))
    assert token_count(steps) == 2000
    assert sum(answer.relay.unread for answer in engine._running) <= 256
    await lazy.aclose()
