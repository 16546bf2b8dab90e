"""What ExLlamaV2 does wrong when left to itself, and what goes wrong on GPUs: guarded."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import torch
from msgspec.structs import replace

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Sampling
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import Engine, EngineBroken, EngineError, Job
from mesh.worker.engines.exllamav2 import start
from mesh.worker.engines.exllamav2.engine import ExLlamaV2Engine
from tests.worker.chain_model import ALPHABET, END
from tests.worker.engine_contract import collect, job, text_of, token_count
from tests.worker.exl2 import folders
from tests.worker.exl2.standin_model import LOGIT_HOOKS, STEP_HOOKS, StandinModel
from tests.worker.listener import listen

PAGES = 16


@pytest.fixture
async def engine(chain: Path) -> AsyncIterator[ExLlamaV2Engine]:
    """Four slots, a pool of 16 pages, prompts read a page at a time."""
    loaded = await load(chain)
    yield loaded
    await loaded.close()


@pytest.fixture(autouse=True)
def _hooks() -> Iterator[None]:
    yield
    STEP_HOOKS.clear()
    LOGIT_HOOKS.clear()


async def load(path: Path, **settings: object) -> ExLlamaV2Engine:
    given = {"slots": 4, "cache_tokens": PAGES * 256, "context": 2048, "prefill": 256} | settings
    engine = await start.load(path, WorkerSettings(**given))  # type: ignore[arg-type]
    assert isinstance(engine, ExLlamaV2Engine)
    return engine


def free_pages(engine: ExLlamaV2Engine) -> int:
    return len(engine._driver._generator.unreferenced_pages)


def model_of(engine: ExLlamaV2Engine) -> StandinModel:
    model = engine._driver._generator.model
    assert isinstance(model, StandinModel)
    return model


async def settled(engine: ExLlamaV2Engine) -> None:
    """Wait until the driver has done all that it was told to."""
    done = threading.Event()
    engine._driver._orders.put(done.set)
    assert await asyncio.to_thread(done.wait, 5)


async def failing(engine: Engine, text: str, count: int = 50) -> str:
    with pytest.raises(EngineError) as failure:
        await collect(engine, job(engine, text, count))
    return str(failure.value)


def at_step(number: int, error: Exception) -> None:
    """Let the forward pass of that number from now on fail, and no other."""
    steps = iter(range(number + 1))

    def hook(model: StandinModel, ids: torch.Tensor) -> None:
        if next(steps, -1) == number:
            raise error

    STEP_HOOKS.append(hook)


async def test_a_failed_step_fails_the_answers_in_it_and_no_other(engine: ExLlamaV2Engine) -> None:
    before = engine._driver._generator
    at_step(20, RuntimeError("something in a kernel"))
    jobs = [job(engine, f"{number} Say A", 60) for number in range(9)]
    answers = await asyncio.gather(
        *(collect(engine, asked) for asked in jobs), return_exceptions=True
    )
    failed = [answer for answer in answers if isinstance(answer, EngineError)]
    assert 1 <= len(failed) <= 4, "those with a slot at that step"
    assert all("something in a kernel" in str(error) for error in failed)
    done = [answer for answer in answers if isinstance(answer, list)]
    assert len(done) + len(failed) == 9
    assert {text_of(steps) for steps in done} == {(ALPHABET * 3)[:60]}
    assert engine._driver._generator is not before
    assert free_pages(engine) == PAGES


async def test_answers_that_waited_for_pages_survive_a_failed_step(engine: ExLlamaV2Engine) -> None:
    """They have a slot, but the library had no room for them yet."""
    at_step(12, RuntimeError("boom"))
    jobs = [job(engine, f"{number} Say A", 1500) for number in range(4)]
    readers = [asyncio.create_task(collect(engine, asked)) for asked in jobs]
    answers = await asyncio.gather(*readers, return_exceptions=True)
    assert [isinstance(answer, EngineError) for answer in answers] == [True, True, False, False]


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, AssertionError, ValueError])
async def test_memory_that_runs_out_in_a_step_costs_its_answers_only(
    engine: ExLlamaV2Engine, kind: type[Exception]
) -> None:
    at_step(5, kind("out of memory"))
    assert "out of memory" in await failing(engine, "Say A")
    assert text_of(await collect(engine, job(engine, "Say A", 27))) == ALPHABET


async def test_a_broken_gpu_ends_everything_and_says_so(engine: ExLlamaV2Engine) -> None:
    at_step(5, RuntimeError("CUDA error: an illegal memory access was encountered\nmore lines"))
    readers = [asyncio.create_task(failing(engine, f"{number} Say A")) for number in range(9)]
    said = set(await asyncio.gather(*readers))
    assert said == {
        "The GPU has failed: RuntimeError: CUDA error: an illegal memory access was encountered"
    }
    with pytest.raises(EngineBroken):
        await collect(engine, job(engine, "Say A", 5))


async def test_an_engine_that_cannot_be_rebuilt_is_broken(
    engine: ExLlamaV2Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make() -> None:
        raise RuntimeError("no memory for that")

    monkeypatch.setattr(engine._driver, "_make", make)
    at_step(5, RuntimeError("boom"))
    await failing(engine, "Say A")
    with pytest.raises(EngineBroken, match="no memory for that"):
        await collect(engine, job(engine, "Say A", 5))


async def test_no_numbers_fail_one_answer_and_leave_the_others_exact(
    engine: ExLlamaV2Engine,
) -> None:
    def spoil(model: StandinModel, sequence: list[int], logits: torch.Tensor) -> None:
        if sequence[-1] == ord("q") + 2 and ord("!") + 2 in sequence:
            logits[7] = float("nan")

    LOGIT_HOOKS.append(spoil)
    others = [asyncio.create_task(collect(engine, job(engine, "Say A", 60))) for _ in range(3)]
    assert "NaN" in await failing(engine, "Say! A")
    for reader in others:
        assert text_of(await reader) == (ALPHABET * 3)[:60]
    await settled(engine)
    assert free_pages(engine) == PAGES


async def test_pages_of_broken_numbers_are_not_used_again(engine: ExLlamaV2Engine) -> None:
    asked = job(engine, "x" * 600 + "A", 20)
    LOGIT_HOOKS.append(lambda model, sequence, logits: logits.fill_(float("nan")))
    with pytest.raises(EngineError, match="NaN"):
        await collect(engine, asked)
    LOGIT_HOOKS.clear()
    again = await collect(engine, asked)
    assert again[0].cached_tokens == 0
    assert text_of(again) == ALPHABET[:20]


async def test_a_thousand_cancels_leave_every_page_free(engine: ExLlamaV2Engine) -> None:
    async def begin_and_leave(number: int) -> None:
        """After the first token, or while it waits for its turn or reads its prompt."""
        asked = job(engine, "x" * (number % 700) + "A", 300)
        if number % 3:
            reader = listen(engine, asked)
            await anext(reader)
            await reader.aclose()
        else:
            collecting = asyncio.create_task(collect(engine, asked))
            await asyncio.sleep(number % 7 / 1000)
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)

    for number in range(0, 1000, 8):
        await asyncio.gather(*(begin_and_leave(number + k) for k in range(8)))
    await settled(engine)
    assert free_pages(engine) == PAGES
    assert not engine._driver._generator.referenced_pages
    assert engine._driver._generator.num_remaining_jobs() == 0
    assert text_of(await collect(engine, job(engine, "Say A", 27))) == ALPHABET


async def test_cancelling_twice_and_after_the_end_is_nothing(engine: ExLlamaV2Engine) -> None:
    reader = listen(engine, job(engine, "Say A", 300))
    await anext(reader)
    (answer,) = engine._driver._running
    await reader.aclose()
    engine._driver.cancel(answer)
    engine._driver.cancel(answer)
    await settled(engine)
    assert free_pages(engine) == PAGES


async def test_a_gpu_that_fails_as_the_last_reader_leaves_ends_the_engine(
    engine: ExLlamaV2Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library then moves pages about, outside of any step."""

    def fail(task: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    reader = listen(engine, job(engine, "Say A", 1000))
    await anext(reader)
    monkeypatch.setattr(engine._driver._generator, "cancel", fail)
    await reader.aclose()
    with pytest.raises(EngineBroken, match="illegal memory access"):
        async with asyncio.timeout(60):
            await collect(engine, job(engine, "Say A", 5))


async def test_an_answer_that_cannot_be_begun_fails_alone(
    engine: ExLlamaV2Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no idea")

    other = listen(engine, job(engine, "Say A", 27))
    first = await anext(other)
    with monkeypatch.context() as broken:
        broken.setattr("mesh.worker.engines.exllamav2.answer.Answer.task", fail)
        async with asyncio.timeout(60):
            assert "no idea" in await failing(engine, "Say A")
    assert first.text + text_of([step async for step in other]) == ALPHABET


async def test_an_answer_that_begins_as_the_engine_closes_ends(
    engine: ExLlamaV2Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, prepare = threading.Event(), engine._held

    def late(asked: Job) -> object:
        closed.wait(5)
        return prepare(asked)

    monkeypatch.setattr(engine, "_held", late)
    reader = asyncio.create_task(collect(engine, job(engine, "Say A", 5)))
    await asyncio.sleep(0)
    await engine.close()
    closed.set()
    with pytest.raises(EngineError, match="was closed"):
        async with asyncio.timeout(60):
            await reader


async def test_a_reader_that_leaves_during_the_prompt_stops_it(engine: ExLlamaV2Engine) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    STEP_HOOKS.append(lambda model, ids: loop.call_soon_threadsafe(begun.set))
    STEP_HOOKS.append(lambda model, ids: threading.Event().wait(0.05))
    reader = asyncio.create_task(collect(engine, job(engine, "x" * 1900 + "A", 5)))
    await begun.wait()
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    await settled(engine)
    assert len(model_of(engine).chunks) <= 3, "of the eight that its prompt is"
    assert free_pages(engine) == PAGES


async def test_a_long_prompt_does_not_silence_the_others(engine: ExLlamaV2Engine) -> None:
    other = listen(engine, job(engine, "Say A", 300))
    await anext(other)
    chunks = model_of(engine).chunks
    chunks.clear()
    reader = asyncio.create_task(collect(engine, job(engine, "x" * 1900 + "A", 1)))
    await reader
    await other.aclose()
    prompt = [at for at, (_, rows) in enumerate(chunks) if rows > 1]
    assert len(prompt) >= 7, "page by page"
    assert all(after - before >= 2 for before, after in zip(prompt, prompt[1:], strict=False)), (
        "between any two of them the other has its turn"
    )


async def test_a_prompt_beyond_the_context_never_reaches_the_library(
    engine: ExLlamaV2Engine,
) -> None:
    asked = replace(job(engine, "A", 5), prompt_ids=(5,) * 2048)
    with pytest.raises(MeshError, match="2048 tokens") as refused:
        await collect(engine, asked)
    assert refused.value.code == ErrorCode.CONTEXT_OVERFLOW
    assert model_of(engine).chunks == []
    assert text_of(await collect(engine, job(engine, "Say A", 27))) == ALPHABET


async def test_what_the_library_itself_refuses_fails_alone(engine: ExLlamaV2Engine) -> None:
    generator = engine._driver._generator
    room, generator.max_pages = generator.max_pages, 2
    assert "Job requires 3 pages" in await failing(engine, "x" * 700 + "A")
    generator.max_pages = room
    assert generator.num_remaining_jobs() == 0
    assert text_of(await collect(engine, job(engine, "Say A", 27))) == ALPHABET


async def test_who_comes_later_joins_the_steps_of_who_was_there(engine: ExLlamaV2Engine) -> None:
    there = listen(engine, job(engine, "Say A", 1000))
    await anext(there)
    model_of(engine).chunks.clear()
    await asyncio.gather(*(collect(engine, job(engine, f"{k} Say A", 20)) for k in range(2)))
    decoded = [requests for requests, rows in model_of(engine).chunks if rows == 1]
    assert max(decoded) == 3, "three answers in one step"
    assert (await anext(there)).finish is None
    await there.aclose()


async def test_more_tokens_than_the_context_has_are_cut_to_it(engine: ExLlamaV2Engine) -> None:
    asked = replace(job(engine, "A", 5), max_tokens=1_000_000)
    assert token_count(await collect(engine, asked)) == 2048 - len(asked.prompt_ids)


@pytest.mark.parametrize("ids", [(), (-1,), (1_000_000,), (folders.VOCABULARY,)])
async def test_ids_that_the_model_does_not_have_never_reach_it(
    engine: ExLlamaV2Engine, ids: tuple[int, ...]
) -> None:
    with pytest.raises(EngineError, match="tokens"):
        await collect(engine, replace(job(engine, "A", 5), prompt_ids=ids))
    assert model_of(engine).chunks == []


async def test_no_tokens_asked_for_are_none(engine: ExLlamaV2Engine) -> None:
    steps = await collect(engine, replace(job(engine, "A", 5), max_tokens=0))
    assert [(step.text, step.ids, step.finish) for step in steps] == [("", (), "length")]


async def test_with_nothing_to_do_it_makes_no_step(engine: ExLlamaV2Engine) -> None:
    await collect(engine, job(engine, "Say A", 5))
    await settled(engine)
    steps = []
    STEP_HOOKS.append(lambda model, ids: steps.append(ids))
    await asyncio.sleep(0.1)
    assert steps == [] and engine._driver._orders.empty()


async def test_answers_too_large_for_the_pool_together_wait_for_one_another(
    engine: ExLlamaV2Engine,
) -> None:
    jobs = [job(engine, f"{number} Say A", 2000) for number in range(4)]
    answers = await asyncio.gather(*(collect(engine, asked) for asked in jobs))
    assert [token_count(steps) for steps in answers] == [2000] * 4
    assert {text_of(steps)[:27] for steps in answers} == {ALPHABET}


async def test_what_was_begun_before_the_end_token_is_not_lost(engine: ExLlamaV2Engine) -> None:
    """Half a character, or text that might have become a stop string, was held by the library."""
    answer = [ord("o") + 2, ord("k") + 2, 0xE2 + 2, 0x82 + 2, END]

    def say(model: StandinModel, sequence: list[int], logits: torch.Tensor) -> None:
        said = sequence[sequence.index(ord("A") + 2) + 1 :]
        logits[answer[len(said)]] = 50.0

    LOGIT_HOOKS.append(say)
    steps = await collect(engine, job(engine, "A", 20))
    assert text_of(steps) == "ok"
    assert [token for step in steps for token in step.ids or ()] == answer[:-1]
    assert steps[-1].finish == "stop"


@pytest.mark.parametrize("drafts", [1, 4, 8, 16])
@pytest.mark.parametrize("count", [1, 3, 20])
async def test_drafts_give_exactly_the_tokens_asked_for(
    chain: Path, tmp_path: Path, drafts: int, count: int
) -> None:
    for draft in ("ngram", str(folders.write(tmp_path / "draft"))):
        engine = await load(chain, draft=draft, draft_tokens=drafts)
        steps = await collect(engine, job(engine, "abcabc Say A", count))
        await engine.close()
        assert (token_count(steps), steps[-1].finish) == (count, "length")
        assert text_of(steps) == ALPHABET[:count]


@pytest.mark.parametrize("drafts", [1, 4, 7])
async def test_an_end_that_was_guessed_ends_an_answer_as_any_other(
    chain: Path, drafts: int
) -> None:
    engine = await load(chain, draft=str(chain), draft_tokens=drafts)
    async with asyncio.timeout(60):
        steps = await collect(engine, job(engine, "1?", 40))
    assert (text_of(steps), steps[-1].finish) == ("0123456789", "stop")
    assert END not in [token for step in steps for token in step.ids or ()]
    await engine.close()


async def test_what_cannot_be_read_of_a_step_fails_its_answer_alone(
    engine: ExLlamaV2Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no idea")

    with monkeypatch.context() as broken:
        broken.setattr("mesh.worker.engines.exllamav2.answer.Answer.advance", fail)
        async with asyncio.timeout(60):
            assert "no idea" in await failing(engine, "Say A")
    assert text_of(await collect(engine, job(engine, "Say A", 27))) == ALPHABET


async def test_drafts_up_to_the_end_of_the_context_stay_within_it(
    chain: Path, tmp_path: Path
) -> None:
    draft = str(folders.write(tmp_path / "draft"))
    engine = await load(chain, draft=draft, draft_tokens=7, context=300)
    asked = job(engine, "Say A", 10_000)
    assert engine.info.context_length == 293
    assert token_count(await collect(engine, asked)) == 293 - len(asked.prompt_ids)
    await engine.close()


async def test_a_second_question_computes_only_what_is_new(engine: ExLlamaV2Engine) -> None:
    asked = job(engine, "x" * 1500 + "A", 2)
    first = await collect(engine, asked)
    again = await collect(engine, asked)
    assert first[0].cached_tokens == 0
    assert again[0].cached_tokens == len(asked.prompt_ids) - 1


async def test_slots_are_bounded_by_default_and_so_are_the_buffers(chain: Path) -> None:
    engine = await start.load(chain, WorkerSettings(cache_tokens=65_536))
    assert isinstance(engine, ExLlamaV2Engine)
    assert engine._driver._generator.logits_pinned.shape == (32, 1, 288)
    await engine.close()


async def test_a_closed_event_loop_ends_the_thread(
    engine: ExLlamaV2Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = asyncio.new_event_loop()
    closed.close()
    monkeypatch.setattr(engine._driver, "_loop", closed)
    reader = asyncio.create_task(collect(engine, job(engine, "Say A", 1000)))
    await asyncio.sleep(0)
    await asyncio.to_thread(engine._driver._thread.join, 5)
    assert not engine._driver._thread.is_alive()
    reader.cancel()


async def test_greedy_is_greedy_with_every_default(engine: ExLlamaV2Engine) -> None:
    texts = {
        text_of(await collect(engine, job(engine, "Say A", 30, Sampling(temperature=0), seed)))
        for seed in range(3)
    }
    assert texts == {ALPHABET + "abc"}
