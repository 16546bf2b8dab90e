"""Matrices spread over several GPUs: the library's own division and cache, and its limits."""

from pathlib import Path
from typing import Any

import pytest
from exllamav2 import attn

from tests.worker.chain_model import ALPHABET
from tests.worker.engine_contract import collect, job, text_of
from tests.worker.exl2 import folders, standin
from tests.worker.exl2.test_exllamav2_loading import change, generator, loaded, refusal
from tests.worker.exl2.test_exllamav2_lora import write_lora

EXL2 = {"quant_method": "exl2", "bits": 4.0}


@pytest.fixture
def spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that can be spread, two GPUs, one of them with twice as much free, flash-attn."""
    monkeypatch.setattr(standin, "FREE", [8 * standin.GIB, 16 * standin.GIB])
    monkeypatch.setattr(attn, "has_flash_attn_with_paged", True)
    monkeypatch.setattr(attn, "flash_attn_with_kvcache", object(), raising=False)
    return folders.write(
        tmp_path / "spread",
        quantization_config=EXL2,
        num_attention_heads=6,
        num_key_value_heads=6,
        head_dim=64,
        intermediate_size=768,
    )


async def test_every_gpu_has_its_share_of_heads_rows_and_cache(spread: Path) -> None:
    settings: dict[str, Any] = {"gpu_split": "tensor", "gpu_reserve": 0.0}
    async with loaded(spread, cache_tokens=4096, **settings) as engine:
        cache, model = generator(engine).cache, generator(engine).model
        assert model.tp_context.kv_split == [(0, 0, 2), (1, 2, 6)]
        assert model.tp_context.id_split == [(0, 0, 256), (1, 256, 768)]
        assert [each.num_key_value_heads for each in cache.caches] == [2, 4]
        assert {each.max_seq_len for each in cache.caches} == {4096}
        assert text_of(await collect(engine, job(engine, "x" * 600 + "A", 27))) == ALPHABET


async def test_what_is_kept_back_is_left_free_on_each(spread: Path) -> None:
    async with loaded(spread, gpu_split="tensor", gpu_reserve=7.0) as engine:
        assert generator(engine).model.tp_context.kv_split == [(0, 0, 1), (1, 1, 6)]


async def test_the_model_that_drafts_is_not_spread(spread: Path, tmp_path: Path) -> None:
    draft = str(folders.write(tmp_path / "draft"))
    async with loaded(spread, gpu_split="tensor", draft=draft) as engine:
        assert generator(engine).draft_model.tp_context is None
        assert text_of(await collect(engine, job(engine, "A", 27))) == ALPHABET


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"quantization_config": None}, "needs EXL2 weights, and those of spread are 16 bits"),
        (
            {"quantization_config": {"quant_method": "gptq", "bits": 4}},
            "needs EXL2 weights, and those of spread are GPTQ",
        ),
        ({"architectures": ["Phi3ForCausalLM"]}, "cannot do it for Phi3ForCausalLM"),
        ({"sliding_window": 512}, "attends through a sliding window"),
        ({"intermediate_size": 192}, "no multiple of 128"),
    ],
)
async def test_a_model_that_cannot_be_spread_is_refused(
    spread: Path, changes: dict[str, Any], sentence: str
) -> None:
    change(spread / "config.json", **changes)
    said = await refusal(spread, gpu_split="tensor")
    assert sentence in said and "MESH_GPU_SPLIT=auto" in said


async def test_loras_would_be_left_out_and_are_refused(spread: Path, tmp_path: Path) -> None:
    lora = str(write_lora(tmp_path / "lora", 1.0))
    assert "it leaves LoRAs out" in await refusal(spread, gpu_split="tensor", lora=lora)


async def test_it_needs_flash_attn(spread: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attn, "has_flash_attn_with_paged", False)
    assert "needs flash-attn" in await refusal(spread, gpu_split="tensor")
