"""Embeddings of llama.cpp: of a model that talks, and of one that was made for nothing else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from struct import unpack

import pytest

from mesh.protocol.abilities import Ability, lacking
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Request
from mesh.settings import WorkerSettings
from mesh.worker.bundled import PATH
from mesh.worker.engines.base import EngineError
from mesh.worker.engines.embedding import Embedding
from mesh.worker.engines.llamacpp import LlamaCppEngine
from tests.worker import chain_model
from tests.worker.engine_contract import collect, job, text_of


@pytest.fixture
async def engine() -> AsyncIterator[LlamaCppEngine]:
    engine = await LlamaCppEngine.load(PATH, WorkerSettings(slots=2, context=1024))
    yield engine
    await engine.close()


def numbers(found: Embedding) -> tuple[float, ...]:
    return unpack(f"<{len(found.vector) // 4}f", found.vector)


def likeness(one: Embedding, other: Embedding) -> float:
    return sum(a * b for a, b in zip(numbers(one), numbers(other), strict=True))


async def test_a_text_has_one_vector_of_length_1(engine: LlamaCppEngine) -> None:
    found = await engine.embed("A fox by the lake.")
    assert likeness(found, found) == pytest.approx(1, abs=1e-3)
    assert found.tokens >= len(engine.encode("A fox by the lake."))
    again = await engine.embed("A fox by the lake.")
    assert likeness(found, again) == pytest.approx(1, abs=1e-3)
    other = await engine.embed("Numbers: 1 2 3 4 5 6 7")
    assert likeness(found, other) < 0.99


async def test_answers_are_the_same_beside_embeddings(engine: LlamaCppEngine) -> None:
    asked = job(engine, "Tell me about Ada.", 40)
    alone = text_of(await collect(engine, asked))
    texts = [f"text number {number}" for number in range(12)]
    beside, made = await asyncio.gather(
        collect(engine, asked), asyncio.gather(*map(engine.embed, texts))
    )
    assert text_of(beside) == alone
    for text, found in zip(texts, made, strict=True):
        assert likeness(found, await engine.embed(text)) == pytest.approx(1, abs=1e-3)


async def test_a_text_longer_than_a_batch_is_embedded_and_one_too_long_refused(
    engine: LlamaCppEngine,
) -> None:
    assert (await engine.embed("fox " * 350)).tokens > 512
    with pytest.raises(MeshError) as refused:
        await engine.embed("fox " * 3000)
    assert refused.value.code is ErrorCode.CONTEXT_OVERFLOW


async def test_after_its_end_there_are_none() -> None:
    engine = await LlamaCppEngine.load(PATH, WorkerSettings(slots=1, context=256))
    await engine.close()
    with pytest.raises(EngineError, match="closed"):
        await engine.embed("x")


async def test_those_that_wait_when_it_ends_are_told_so() -> None:
    engine = await LlamaCppEngine.load(PATH, WorkerSettings(slots=1, context=1024))
    asked = [asyncio.create_task(engine.embed("fox " * 300)) for _ in range(8)]
    while not engine._threads._work_queue.qsize():
        await asyncio.sleep(0)
    await engine.close()
    done = await asyncio.gather(*asked, return_exceptions=True)
    told = [each for each in done if not isinstance(each, Embedding)]
    assert told and all(isinstance(each, EngineError) for each in told)


async def test_a_model_made_for_embeddings_makes_nothing_else(tmp_path: Path) -> None:
    path = chain_model.write(tmp_path / "made-for-it.gguf", pooled=True)
    engine = await LlamaCppEngine.load(path, WorkerSettings(slots=1, context=2048))
    try:
        assert Ability.EMBED_ONLY in engine.info.abilities
        long = await engine.embed("A fox. " * 200)
        assert likeness(long, long) == pytest.approx(1, abs=1e-3) and long.tokens > 1024
    finally:
        await engine.close()
    asked = Request(rid="r", reply="g", tenant="t", model="m", messages=(), created=0, deadline=0)
    refusal = lacking(asked, tuple(engine.info.abilities))
    assert refusal is not None and refusal.param == "model"
