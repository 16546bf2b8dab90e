"""LoRAs, as peft saves them, read by the library's own reader into its own modules."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from tests.worker.engine_contract import collect, job
from tests.worker.exl2 import folders
from tests.worker.exl2.standin_model import STEP_HOOKS, StandinModel
from tests.worker.exl2.test_exllamav2_loading import change, generator, loaded, refusal

QUERIES = "model.layers.0.self_attn.q_proj"


def write_lora(path: Path, value: float, rank: int = 2, width: int = folders.HIDDEN) -> Path:
    """A LoRA for the queries of the first layer, all of one value, as peft saves it."""
    path.mkdir()
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": ["q_proj"]}
    (path / "adapter_config.json").write_text(json.dumps(config))
    halves = {"lora_A": (rank, width), "lora_B": (width, rank)}
    tensors = {f"base_model.model.{QUERIES}.{half}.weight": shape for half, shape in halves.items()}
    matrices = {name: np.full(shape, value, np.float32) for name, shape in tensors.items()}
    save_file(matrices, path / "adapter_model.safetensors")
    return path


async def test_loras_are_read_scaled_and_on_in_every_step(chain: Path, tmp_path: Path) -> None:
    one, two = write_lora(tmp_path / "one", 0.25), write_lora(tmp_path / "two", 1.0, rank=4)
    async with loaded(chain, lora=f"{one}, {two}=0.5") as engine:
        model = generator(engine).model
        queries = model.modules_dict[QUERIES]
        halves = zip(queries.lora_a_tensors.values(), queries.lora_b_tensors.values(), strict=True)
        read = [(tuple(a.shape), float(a.max()), float(b.max())) for a, b in halves]
        assert read == [((128, 2), 0.25, 0.25 * 2), ((128, 4), 1.0, 1.0 * 2 * 0.5)]
        await collect(engine, job(engine, "A", 5))
        assert {tuple(loras) for loras in model.loras} == {tuple(queries.lora_a_tensors)}


async def test_loras_are_on_also_after_a_failed_step(chain: Path, tmp_path: Path) -> None:
    async with loaded(chain, lora=str(write_lora(tmp_path / "one", 1.0))) as engine:
        before, model = generator(engine), generator(engine).model
        failing = iter([True])

        def hook(model: StandinModel, ids: torch.Tensor) -> None:
            if next(failing, False):
                raise RuntimeError("boom")

        STEP_HOOKS.append(hook)
        await asyncio.gather(collect(engine, job(engine, "A", 5)), return_exceptions=True)
        STEP_HOOKS.remove(hook)
        model.loras.clear()
        await collect(engine, job(engine, "A", 5))
        assert generator(engine) is not before
        assert model.loras and all(len(loras) == 1 for loras in model.loras)


async def test_what_a_lora_says_is_part_of_the_fingerprint_and_its_place_is_not(
    chain: Path, tmp_path: Path
) -> None:
    written = [
        write_lora(tmp_path / name, value) for name, value in (("a", 1.0), ("b", 1.0), ("c", 2.0))
    ]
    found = []
    for lora in ("", *map(str, written), f"{written[0]}=0.5"):
        async with loaded(chain, lora=lora) as engine:
            found.append(engine.info.fingerprint)
    assert found[1] == found[2]
    assert len(set(found)) == 4


async def test_a_lora_s_folder_may_have_folders_in_it(chain: Path, tmp_path: Path) -> None:
    """Downloads leave one behind."""
    lora = write_lora(tmp_path / "one", 1.0)
    async with loaded(chain, lora=str(lora)) as engine:
        before = engine.info.fingerprint
    (lora / ".cache").mkdir()
    async with loaded(chain, lora=str(lora)) as engine:
        assert engine.info.fingerprint == before


BROKEN_LORAS: dict[str, Callable[[Path], object]] = {
    "half of it": lambda p: (p / "adapter_model.safetensors").write_bytes(b"x" * 50),
    "no weights": lambda p: (p / "adapter_model.safetensors").unlink(),
    "code instead of weights": lambda p: (p / "adapter_model.bin").write_bytes(b"cos\nsystem\n."),
    "no JSON": lambda p: (p / "adapter_config.json").write_text("{"),
    "no rank": lambda p: (p / "adapter_config.json").write_text("{}"),
    "a rank that is none": lambda p: change(p / "adapter_config.json", r="x"),
}


@pytest.mark.parametrize("name", list(BROKEN_LORAS))
async def test_a_broken_lora_is_refused(chain: Path, tmp_path: Path, name: str) -> None:
    path = write_lora(tmp_path / "lora", 1.0)
    BROKEN_LORAS[name](path)
    said = await refusal(chain, lora=str(path))
    assert f"MESH_LORA: {path} is no LoRA of this model, or not whole" in said


async def test_a_lora_of_another_model_is_refused(chain: Path, tmp_path: Path) -> None:
    said = await refusal(chain, lora=str(write_lora(tmp_path / "wide", 1.0, width=256)))
    assert "MESH_LORA" in said and "incompatible tensor shape" in said


@pytest.mark.parametrize("lora", ["/nowhere", "{folder}=much", "{folder}"])
async def test_a_lora_that_is_none_is_refused(chain: Path, tmp_path: Path, lora: str) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "MESH_LORA" in await refusal(chain, lora=lora.format(folder=tmp_path))
