"""The llama.cpp engine: the contract, on a model whose every answer is known; what is its own."""

import asyncio
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Sampling
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import EngineError
from mesh.worker.engines.llamacpp import CONTEXT, LlamaCppEngine
from tests.worker import chain_model
from tests.worker.engine_contract import (
    TokenEngineContract,
    after,
    collect,
    job,
    text_of,
    token_count,
)


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chain_model.write(tmp_path_factory.mktemp("model") / "chain.gguf")


@pytest.fixture
async def engine(chain: Path) -> AsyncIterator[LlamaCppEngine]:
    engine = await LlamaCppEngine.load(chain, WorkerSettings(slots=2))
    yield engine
    await engine.close()


class TestContract(TokenEngineContract):
    LONG = "Say A"
    SHORT = "What is 0 + 1?"

    @pytest.fixture(autouse=True)
    def _model(self, chain: Path) -> None:
        self.path = chain

    async def load(self, slots: int) -> LlamaCppEngine:
        settings = WorkerSettings(slots=slots, context=32_768)
        return await LlamaCppEngine.load(self.path, settings)


async def test_it_says_what_the_model_says(engine: LlamaCppEngine) -> None:
    assert text_of(await collect(engine, job(engine, "Say A", 30))) == f"{chain_model.ALPHABET}abc"
    assert text_of(await collect(engine, job(engine, "1?", 30))) == chain_model.DIGITS


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such policy")
async def test_what_carries_tokens_does_not_push_aside_what_computes_them(
    engine: LlamaCppEngine,
) -> None:
    await collect(engine, job(engine, "Say A", 3))
    carry = [each for each in threading.enumerate() if each.name.startswith("llamacpp")]
    assert carry
    assert {os.sched_getscheduler(each.native_id or 0) for each in carry} == {os.SCHED_BATCH}
    assert os.sched_getscheduler(threading.get_native_id()) == os.SCHED_OTHER


async def test_the_file_says_how_to_talk_to_it(engine: LlamaCppEngine) -> None:
    info = engine.info
    assert info.model == "chain"
    assert info.chat_template == chain_model.TEMPLATE
    assert (info.bos_token, info.eos_token, info.add_bos) == ("<|start|>", "<|end|>", False)
    assert info.context_length == CONTEXT


async def test_a_character_of_several_tokens_comes_whole_with_all_its_ids(
    engine: LlamaCppEngine,
) -> None:
    steps = await collect(engine, job(engine, "!", 12))
    assert [step.text for step in steps] == ["é", "🙂", "é", "🙂", ""]
    assert [len(step.ids or ()) for step in steps] == [2, 4, 2, 4, 0]
    assert [i for step in steps for i in step.ids or ()] == engine.encode("é🙂é🙂")


async def test_half_a_character_at_the_end_is_left_out(engine: LlamaCppEngine) -> None:
    steps = await collect(engine, job(engine, "!", 4))
    assert text_of(steps) == "é"
    assert steps[-1].finish == "length"


async def test_an_answer_ends_where_the_context_does(chain: Path) -> None:
    engine = await LlamaCppEngine.load(chain, WorkerSettings(slots=1, context=256))
    asked = job(engine, "Say A", 10_000)
    assert asked.max_tokens == 256 - len(asked.prompt_ids)
    assert token_count(await collect(engine, asked)) == asked.max_tokens
    await engine.close()


async def test_each_slot_has_the_whole_context(chain: Path) -> None:
    engine = await LlamaCppEngine.load(chain, WorkerSettings(slots=3, context=300))
    asked = job(engine, "Say A", 10_000)
    answers = await asyncio.gather(*(collect(engine, asked) for _ in range(3)))
    assert [token_count(steps) for steps in answers] == [asked.max_tokens] * 3
    await engine.close()


async def test_a_context_beyond_the_trained_one_is_not_offered(tmp_path: Path) -> None:
    path = chain_model.write(tmp_path / "short.gguf", context=512)
    engine = await LlamaCppEngine.load(path, WorkerSettings(slots=1, context=4096))
    assert engine.info.context_length == 512
    await engine.close()


async def test_a_second_question_computes_only_what_is_new(engine: LlamaCppEngine) -> None:
    asked = job(engine, "a long introduction " * 20 + "Say A", 2)
    await collect(engine, asked)
    again = await collect(engine, asked)
    assert again[0].cached_tokens == len(asked.prompt_ids) - 1


async def test_a_reader_that_leaves_during_the_prompt_frees_the_slot(chain: Path) -> None:
    engine = await LlamaCppEngine.load(chain, WorkerSettings(slots=1, context=32_768))
    asked = job(engine, "a" * 12_000 + "A", 1)
    whole = await _seconds(collect(engine, replace(asked, prompt_ids=asked.prompt_ids[1:])))
    reader = asyncio.create_task(collect(engine, asked))
    await asyncio.sleep(whole / 20)
    reader.cancel()
    assert await _seconds(collect(engine, job(engine, "Say A", 5))) < whole / 2
    await engine.close()


async def test_a_prompt_beyond_the_context_is_an_error(engine: LlamaCppEngine) -> None:
    asked = replace(job(engine, "A", 5), prompt_ids=(5,) * (CONTEXT + 1))
    with pytest.raises(EngineError, match="exceeds the available context"):
        await collect(engine, asked)
    assert token_count(await collect(engine, job(engine, "A", 5))) == 5


async def test_an_unknown_id_is_an_error(engine: LlamaCppEngine) -> None:
    with pytest.raises(EngineError, match="invalid tokens"):
        await collect(engine, replace(job(engine, "A", 5), prompt_ids=(1_000_000,)))


async def test_the_same_seed_gives_the_same_sample(engine: LlamaCppEngine) -> None:
    wild = Sampling(temperature=12.0, top_k=0, top_p=1.0, min_p=0.0)
    seeded = [await collect(engine, job(engine, "A", 30, wild, seed)) for seed in (1, 1, 2)]
    texts = [text_of(steps) for steps in seeded]
    assert texts[0] == texts[1] != texts[2]


async def test_single_tokens_are_favoured(engine: LlamaCppEngine) -> None:
    (token,) = engine.encode("z")
    favoured = Sampling(temperature=0, logit_bias={token: 100.0})
    assert text_of(await collect(engine, job(engine, "A", 5, favoured))) == "zzzzz"


@pytest.mark.parametrize("wrong", [-1, 258, 10**9])
async def test_a_bias_on_a_token_that_the_file_does_not_list_is_refused(
    engine: LlamaCppEngine, wrong: int
) -> None:
    with pytest.raises(MeshError, match=f"no token {wrong}; it has 258") as refused:
        await collect(engine, job(engine, "A", 5, Sampling(logit_bias={257: 1.0, wrong: 1.0})))
    assert (refused.value.code, refused.value.param) == (ErrorCode.BAD_REQUEST, "logit_bias")


@pytest.mark.parametrize("sampling", [Sampling(min_tokens=5), Sampling(banned_strings=("a",))])
async def test_what_the_library_cannot_do_is_refused(
    engine: LlamaCppEngine, sampling: Sampling
) -> None:
    with pytest.raises(MeshError, match="leave it out") as refused:
        await collect(engine, job(engine, "A", 5, sampling))
    assert refused.value.code == ErrorCode.UNSUPPORTED


@pytest.mark.parametrize("seed", [-1, 2**32 - 1, 2**63])
async def test_any_whole_number_is_a_seed(engine: LlamaCppEngine, seed: int) -> None:
    wild = Sampling(temperature=12.0, top_k=0, top_p=1.0, min_p=0.0)
    first, second = [await collect(engine, job(engine, "A", 30, wild, seed)) for _ in range(2)]
    assert text_of(first) == text_of(second)


async def test_an_interrupted_answer_of_wide_characters_goes_on_by_ids(
    engine: LlamaCppEngine,
) -> None:
    asked = job(engine, "!", 12)
    whole = await collect(engine, asked)
    rest = await collect(engine, after(asked, whole[:3]))
    assert text_of(rest) == "🙂"


async def test_only_this_user_gets_at_its_port_and_only_with_the_key(
    engine: LlamaCppEngine,
) -> None:
    path = Path(engine._port.path)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(
            b"POST /tokenize HTTP/1.0\r\nContent-Length: 15\r\n\r\n" + b'{"content":"a"}'
        )
        assert b" 401 " in connection.recv(64)


async def test_it_leaves_no_file_behind(chain: Path) -> None:
    engine = await LlamaCppEngine.load(chain, WorkerSettings(slots=1))
    folder = Path(engine._port.path).parent
    await engine.close()
    assert not folder.exists()


async def test_signals_go_to_whoever_had_them(chain: Path) -> None:
    heard = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, heard.set)
    try:
        engine = await LlamaCppEngine.load(chain, WorkerSettings(slots=1))
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(heard.wait(), 30)
        assert token_count(await collect(engine, job(engine, "A", 3))) == 3
        await engine.close()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def _cut(path: Path, data: bytes) -> None:
    path.write_bytes(data[: len(data) // 2])


def _other(path: Path, data: bytes) -> None:
    path.write_bytes(b"not a model" * 100)


def _empty(path: Path, data: bytes) -> None:
    path.touch()


def _missing(path: Path, data: bytes) -> None:
    pass


@pytest.mark.parametrize("spoil", [_cut, _other, _empty, _missing])
async def test_a_spoilt_file_is_refused_with_its_name(
    chain: Path, tmp_path: Path, spoil: Callable[[Path, bytes], None]
) -> None:
    path = tmp_path / "spoilt.gguf"
    spoil(path, chain.read_bytes())
    with pytest.raises(MeshError, match="spoilt.gguf") as refused:
        await LlamaCppEngine.load(path, WorkerSettings(slots=1))
    assert refused.value.code in (ErrorCode.BAD_REQUEST, ErrorCode.ENGINE_FAILED)


async def test_other_weights_have_another_fingerprint(chain: Path, tmp_path: Path) -> None:
    data = bytearray(chain.read_bytes())
    data[-1] ^= 1
    path = tmp_path / "chain.gguf"
    path.write_bytes(data)
    engines = [await LlamaCppEngine.load(p, WorkerSettings(slots=1)) for p in (chain, path)]
    first, second = (engine.info.fingerprint for engine in engines)
    for engine in engines:
        await engine.close()
    assert first != second


async def _seconds(work: Awaitable[object]) -> float:
    clock = asyncio.get_running_loop().time
    began = clock()
    await work
    return clock() - began
