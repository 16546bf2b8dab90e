"""Loading a model: what its folder says, what the settings ask for, what fits and what does not."""

import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import save_file

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Sampling
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import CHATML
from mesh.worker.engines.choose import load as load_by_settings
from mesh.worker.engines.exllamav2 import start
from mesh.worker.engines.exllamav2.engine import ExLlamaV2Engine
from tests.worker.chain_model import ALPHABET, TEMPLATE
from tests.worker.engine_contract import collect, job, text_of
from tests.worker.exl2 import folders, standin
from tests.worker.exl2.standin_model import StandinModel


@asynccontextmanager
async def loaded(path: Path, **settings: Any) -> AsyncIterator[ExLlamaV2Engine]:
    engine = await start.load(path, WorkerSettings(**settings))
    assert isinstance(engine, ExLlamaV2Engine)
    yield engine
    await engine.close()


async def refusal(path: Path, **settings: Any) -> str:
    with pytest.raises(MeshError) as refused:
        await start.load(path, WorkerSettings(**settings))
    assert refused.value.code == ErrorCode.BAD_REQUEST
    return refused.value.detail


def generator(engine: ExLlamaV2Engine) -> Any:
    return engine._driver._generator


def change(path: Path, **changes: Any) -> None:
    """Change fields of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# --- what the folder says -------------------------------------------------------------------------


async def test_auto_takes_a_folder_of_safetensors(chain: Path) -> None:
    engine = await load_by_settings(WorkerSettings(model=str(chain)))
    assert engine.info.engine == "exllamav2"
    await engine.close()


async def test_the_folder_says_how_to_talk_to_it(chain: Path) -> None:
    async with loaded(chain) as engine:
        info = engine.info
        assert (info.model, info.chat_template) == ("chain", TEMPLATE)
        assert (info.bos_token, info.eos_token, info.add_bos) == ("<|start|>", "<|end|>", False)
        assert (info.context_length, info.slots) == (32_768, 32)
        assert info.hardware == "Stand-in GPU"


@pytest.mark.parametrize("form", ["a file", "a list", "none"])
async def test_a_chat_template_may_stand_in_several_places(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    path = folders.write(tmp_path)
    several = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]
    template = several if form == "a list" else None
    change(path / "tokenizer_config.json", chat_template=template)
    if form == "a file":
        (path / "chat_template.jinja").write_text("yes")
    async with loaded(path) as engine:
        assert engine.info.chat_template == ("yes" if form != "none" else CHATML)
    assert ("has no chat template" in caplog.text) == (form == "none")


async def test_a_tokenizer_that_begins_every_text_makes_prompts_begin_so(tmp_path: Path) -> None:
    from tokenizers.processors import TemplateProcessing

    path = folders.write(tmp_path)
    tokenizer = folders.tokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="<|start|> $A", special_tokens=[("<|start|>", 1)]
    )
    tokenizer.save(str(path / "tokenizer.json"))
    async with loaded(path) as engine:
        assert engine.info.add_bos
        assert engine.encode("<|start|>a") == [1, ord("a") + 2], "and nothing is added twice"


@pytest.mark.parametrize("where", ["config.json", "generation_config.json"])
async def test_every_end_token_ends_an_answer(tmp_path: Path, where: str) -> None:
    path = folders.write(tmp_path)
    file = path / where
    if not file.exists():
        file.write_text("{}")
    change(file, eos_token_id=[0, ord("5") + 2])
    async with loaded(path) as engine:
        steps = await collect(engine, job(engine, "1?", 20))
        assert (text_of(steps), steps[-1].finish) == ("01234", "stop")


@pytest.mark.parametrize("sampling", [{"min_tokens": 9}, {"xtc_probability": 1.0}], ids=str)
async def test_ends_that_are_no_tokens_of_the_model_are_left_out(
    tmp_path: Path, sampling: dict[str, Any]
) -> None:
    path = folders.write(tmp_path)
    (path / "generation_config.json").write_text('{"eos_token_id": [0, -1, 258, 1000000]}')
    async with loaded(path) as engine:
        wanted = Sampling(temperature=0, **sampling)
        steps = await collect(engine, job(engine, "A", 20, wanted))
        assert sum(len(step.ids or ()) for step in steps) == 20


@pytest.mark.parametrize("theta", [None, 500_000.0])
async def test_the_rotary_base_is_found_where_newer_files_have_it(
    tmp_path: Path, theta: float | None
) -> None:
    """Where it is under rope_parameters alone, the library would silently take 10,000."""
    newer = {"rope_theta": 1e6, "rope_type": "default"}
    path = folders.write(tmp_path, rope_theta=theta, rope_parameters=newer)
    async with loaded(path) as engine:
        assert generator(engine).model.config.rotary_embedding_base == (theta or 1e6)


def _other_weights(path: Path) -> None:
    data = bytearray((path / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (path / "model.safetensors").write_bytes(data)


def _other_config(path: Path) -> None:
    change(path / "config.json", rope_theta=20_000.0)


@pytest.mark.parametrize("alter", [_other_weights, _other_config])
async def test_another_model_has_another_fingerprint(
    chain: Path, tmp_path: Path, alter: Callable[[Path], None]
) -> None:
    alter(folders.write(tmp_path / "chain"))
    async with loaded(chain) as one, loaded(tmp_path / "chain") as other:
        assert one.info.model == other.info.model
        assert one.info.fingerprint != other.info.fingerprint


async def test_what_changes_the_tokens_changes_the_fingerprint(chain: Path) -> None:
    async with loaded(chain) as one, loaded(chain, rope_alpha=2.0) as other:
        assert one.info.fingerprint != other.info.fingerprint
    async with loaded(chain, cache_type="Q8", slots=3) as again:
        assert again.info.fingerprint == one.info.fingerprint


# --- what the settings ask for --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cache_type", "kind"),
    [
        ("FP16", "ExLlamaV2Cache"),
        ("Q8", "ExLlamaV2Cache_Q8"),
        ("Q6", "ExLlamaV2Cache_Q6"),
        ("Q4", "ExLlamaV2Cache_Q4"),
    ],
)
async def test_the_cache_is_of_the_type_asked_for(chain: Path, cache_type: str, kind: str) -> None:
    async with loaded(chain, cache_type=cache_type, cache_tokens=4096) as engine:
        cache = generator(engine).cache
        assert (type(cache).__name__, cache.max_seq_len) == (kind, 4096)
        assert text_of(await collect(engine, job(engine, "A", 27))) == ALPHABET


async def test_rope_settings_reach_the_library_and_lengthen_the_context(chain: Path) -> None:
    async with loaded(chain, rope_scale=2.0, rope_alpha=3.0, context=65_536) as engine:
        config = generator(engine).model.config
        assert (config.scale_pos_emb, config.scale_alpha_value) == (2.0, 3.0)
        assert engine.info.context_length == config.max_seq_len == 65_536


async def test_a_context_beyond_the_trained_one_is_not_offered(
    chain: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with loaded(chain, context=65_536) as engine:
        assert engine.info.context_length == 32_768
    assert "MESH_ROPE_ALPHA" in caplog.text


@pytest.mark.parametrize("context", [16, 255, 256, 300, 2049])
async def test_any_context_can_be_had_and_used_up(chain: Path, context: int) -> None:
    async with loaded(chain, context=context, slots=2) as engine:
        got = max(context, 256)
        assert engine.info.context_length == got
        asked = job(engine, "A", 10_000)
        steps = await collect(engine, asked)
        assert sum(len(step.ids or ()) for step in steps) == got - len(asked.prompt_ids)


@pytest.mark.parametrize("cache_tokens", [1, 256, 1000])
async def test_a_pool_smaller_than_the_context_and_the_chunks_can_be_had(
    chain: Path, cache_tokens: int
) -> None:
    async with loaded(chain, cache_tokens=cache_tokens) as engine:
        pool = -(-cache_tokens // 256) * 256
        assert engine.info.context_length == pool
        asked = job(engine, "A", 10_000)
        steps = await collect(engine, asked)
        assert sum(len(step.ids or ()) for step in steps) == pool - len(asked.prompt_ids)


async def test_more_slots_than_a_short_context_has_room_for_are_not_offered(
    chain: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with loaded(chain, context=512, draft="ngram", draft_tokens=16, slots=64) as engine:
        assert engine.info.slots == 512 // 17
        assert text_of(await collect(engine, job(engine, "A", 27))) == ALPHABET
    assert "room for 30 slots" in caplog.text


async def test_loading_shows_its_progress(chain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with loaded(chain):
        shown = capsys.readouterr()
    assert "Loading chain" in shown.err and "100%" in shown.err
    assert shown.out == ""


async def test_closing_frees_the_model(chain: Path) -> None:
    async with loaded(chain) as engine:
        model = generator(engine).model
    assert model.unloaded
    await engine.close()


# --- what fits ------------------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that says of itself to be an 8B model of 5 GiB, with 128 KiB of cache per token."""
    path = folders.write(tmp_path / "large")
    change(
        path / "config.json",
        hidden_size=4096,
        intermediate_size=14_336,
        num_attention_heads=32,
        num_key_value_heads=8,
        num_hidden_layers=32,
        max_position_embeddings=131_072,
    )
    monkeypatch.setattr(
        "mesh.worker.engines.exllamav2.folder._weight_bytes", lambda file: 5 * standin.GIB
    )
    return path


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say how many GiB are free on each GPU."""

    def say(*free: float) -> None:
        monkeypatch.setattr(standin, "FREE", [int(each * standin.GIB) for each in free])

    return say


@pytest.fixture
def nothing_allocated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Pools asked for, which are not made: they would be gigabytes."""
    pools: list[int] = []

    def stop(plan: Any, settings: WorkerSettings) -> None:
        pools.append(plan.pool)
        raise MeshError(ErrorCode.CANCELLED)

    monkeypatch.setattr("mesh.worker.engines.exllamav2.engine.load", stop)
    return pools


async def planned(path: Path, **settings: Any) -> None:
    with pytest.raises(MeshError) as stopped:
        await start.load(path, WorkerSettings(**settings))
    assert stopped.value.code == ErrorCode.CANCELLED, stopped.value


async def test_a_pool_without_room_for_the_context_asked_for_is_refused(chain: Path) -> None:
    with pytest.raises(MeshError, match="MESH_CACHE_TOKENS=256 .* 1,024 tokens; .* MESH_CONTEXT"):
        await start.load(chain, WorkerSettings(context=1024, cache_tokens=256))


async def test_the_need_is_told_before_anything_is_loaded(
    large: Path,
    gpus: Callable[..., None],
    nothing_allocated: list[int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    gpus(24)
    with caplog.at_level(logging.INFO, "mesh"):
        await planned(large, cache_tokens=65_536)
    assert "5.0 GiB of weights, 8.0 GiB for 65,536 tokens of cache" in caplog.text
    assert nothing_allocated == [65_536]


@pytest.mark.parametrize(
    ("cache_type", "tokens"), [("FP16", 8.0), ("Q8", 4.25), ("Q6", 3.25), ("Q4", 2.25)]
)
async def test_a_smaller_cache_type_needs_less(
    large: Path,
    gpus: Callable[..., None],
    nothing_allocated: list[int],
    caplog: pytest.LogCaptureFixture,
    cache_type: str,
    tokens: float,
) -> None:
    gpus(24)
    with caplog.at_level(logging.INFO, "mesh"):
        await planned(large, cache_tokens=65_536, cache_type=cache_type)
    temporary = 0.0 if cache_type == "FP16" else 0.25
    assert f" {tokens + temporary:.1f} GiB for 65,536 tokens" in caplog.text


async def test_the_pool_is_what_the_memory_holds(
    large: Path, gpus: Callable[..., None], nothing_allocated: list[int]
) -> None:
    gpus(24)
    await planned(large)
    gpus(12, 12)
    await planned(large)
    one, two = nothing_allocated
    assert 130_000 < one < 24 * 8192 - 5 * 8192 and one % 256 == 0
    assert two < one, "each GPU keeps some memory back and needs some to work"


async def test_a_context_too_long_for_the_memory_is_shortened_with_a_warning(
    large: Path,
    gpus: Callable[..., None],
    nothing_allocated: list[int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    gpus(8)
    await planned(large)
    (pool,) = nothing_allocated
    assert pool < 20_000
    assert f"There is room for {pool} tokens of context" in caplog.text


@pytest.mark.parametrize(
    "settings", [{"context": 131_072}, {"cache_tokens": 131_072}, {"context": 100_000}]
)
async def test_what_does_not_fit_is_refused_with_the_setting_to_lower(
    large: Path, gpus: Callable[..., None], settings: dict[str, int]
) -> None:
    gpus(16)
    said = await refusal(large, **settings)
    assert "5.0 GiB of weights" in said and "16.0 GiB on Stand-in GPU is free" in said
    for name in ("MESH_CONTEXT", "MESH_CACHE_TOKENS", "MESH_CACHE_TYPE"):
        assert name in said


async def test_weights_alone_that_do_not_fit_are_refused(
    large: Path, gpus: Callable[..., None]
) -> None:
    gpus(4)
    assert "a model of fewer bits" in await refusal(large)


async def test_memory_that_runs_out_while_loading_names_the_settings(
    chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Insufficient VRAM for model and cache")

    monkeypatch.setattr(StandinModel, "load_autosplit", fail)
    said = await refusal(chain)
    assert "Insufficient VRAM" in said and "MESH_CACHE_TOKENS" in said


async def test_what_else_fails_while_loading_is_told(
    chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setattr(StandinModel, "load_autosplit", fail)
    with pytest.raises(MeshError, match="no kernel image") as refused:
        await start.load(chain, WorkerSettings())
    assert refused.value.code == ErrorCode.ENGINE_FAILED


# --- bad input ------------------------------------------------------------------------------------

Spoil = Callable[[Path], object]


def _cut(path: Path) -> None:
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def _header(path: Path, header: bytes) -> None:
    (path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)


def _behead(path: Path) -> None:
    rest = {name: each for name, each in folders.weights().items() if name != "lm_head.weight"}
    save_file(rest, path / "model.safetensors")


SPOILT: dict[str, tuple[Spoil, str]] = {
    "no config": (lambda p: (p / "config.json").unlink(), "config.json is missing"),
    "no JSON": (lambda p: (p / "config.json").write_text("{"), "config.json is not what"),
    "no text": (lambda p: (p / "config.json").write_bytes(b"\xff\xfe"), "config.json is not what"),
    "wrong types": (lambda p: change(p / "config.json", hidden_size="x"), "config.json is not"),
    "no architecture": (lambda p: change(p / "config.json", architectures=[]), "names 0 arch"),
    "two of them": (lambda p: change(p / "config.json", architectures=["A", "B"]), "names 2 arch"),
    "unknown one": (
        lambda p: change(p / "config.json", architectures=["MambaForCausalLM"]),
        "does not know the architecture MambaForCausalLM",
    ),
    "other bits": (
        lambda p: change(p / "config.json", quantization_config={"quant_method": "exl3"}),
        "is quantised as exl3",
    ),
    "no sizes": (lambda p: change(p / "config.json", num_hidden_layers=None), "config.json is not"),
    "no heads": (
        lambda p: change(p / "config.json", num_key_value_heads=0),
        "ExLlamaV2 cannot read",
    ),
    "an end that is no token": (
        lambda p: change(p / "config.json", eos_token_id=-1),
        "cannot use the tokenizer",
    ),
    "no end": (lambda p: change(p / "config.json", eos_token_id=[]), "ExLlamaV2 cannot read"),
    "a template that is no text": (
        lambda p: (p / "chat_template.jinja").write_bytes(b"\xff\xfe"),
        "chat_template.jinja is not what",
    ),
    "a header without end": (lambda p: _header(p, b"[" * 100_000), "nested too deep"),
    "a place at infinity": (
        lambda p: _header(p, b'{"a": {"data_offsets": [0, 1e999]}}'),
        "not a safetensors file",
    ),
    "no weights": (lambda p: (p / "model.safetensors").unlink(), "has no safetensors file"),
    "half of them": (_cut, "model.safetensors is not whole"),
    "other weights": (
        lambda p: (p / "model.safetensors").write_text("x" * 99),
        "not a safetensors",
    ),
    "empty weights": (lambda p: (p / "model.safetensors").write_bytes(b""), "not a safetensors"),
    "a missing part": (
        lambda p: (p / "model.safetensors.index.json").write_text(
            '{"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}'
        ),
        "lacks model-2.safetensors",
    ),
    "missing tensors": (lambda p: change(p / "config.json", num_hidden_layers=3), "model.layers.2"),
    "no head": (_behead, "lm_head"),
    "no tokenizer": (lambda p: (p / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    "spoilt tokenizer": (
        lambda p: (p / "tokenizer.json").write_text("{}"),
        "tokenizer.json is not",
    ),
    "new rope scaling": (
        lambda p: change(
            p / "config.json",
            rope_theta=None,
            rope_parameters={"rope_type": "llama3", "rope_theta": 5e5},
        ),
        "rope_parameters, where ExLlamaV2 does not look",
    ),
}


@pytest.mark.parametrize("name", list(SPOILT))
async def test_a_spoilt_folder_is_refused_with_what_is_wrong(tmp_path: Path, name: str) -> None:
    spoil, sentence = SPOILT[name]
    path = folders.write(tmp_path / "spoilt")
    spoil(path)
    said = await refusal(path)
    assert sentence in said and "spoilt" in said


async def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is not a folder" in await refusal(tmp_path / "file")


async def test_a_draft_model_of_other_tokens_is_refused(chain: Path, tmp_path: Path) -> None:
    other = folders.write(tmp_path / "other")
    text = (other / "tokenizer.json").read_text()
    (other / "tokenizer.json").write_text(text.replace("<|start|>", "<|begin|>"))
    assert "has other tokens than the model" in await refusal(chain, draft=str(other))
    change(other / "config.json", vocab_size=300)
    assert "has 300 tokens, the model 258" in await refusal(chain, draft=str(other))
    assert "is not a folder" in await refusal(chain, draft=str(tmp_path / "none"))


def in_a_process_of_its_own(code: str) -> str:
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return ran.stderr.strip().splitlines()[-1]


LOOK = "from mesh.worker.engines.exllamav2 import hardware; import torch; "


@pytest.mark.skipif(torch.version.cuda is not None, reason="this PyTorch has CUDA")
def test_a_pytorch_without_cuda_is_named() -> None:
    said = in_a_process_of_its_own(LOOK + "hardware.devices()")
    assert "has no CUDA, which ExLlamaV2 needs" in said and "GGUF" in said


def test_no_gpu_is_told_with_what_to_look_at() -> None:
    said = in_a_process_of_its_own(
        LOOK + "torch.version.cuda = '13.0'; torch.cuda.is_available = bool; hardware.devices()"
    )
    assert "There is no GPU" in said and "nvidia-smi" in said and "CUDA_VISIBLE_DEVICES" in said


def test_a_driver_too_old_is_told() -> None:
    said = in_a_process_of_its_own(
        LOOK
        + """
def fail(*_): raise RuntimeError("The NVIDIA driver on your system is too old.\\nmore")
torch.version.cuda, torch.cuda.is_available = "13.0", lambda: True
torch.cuda.device_count, torch.cuda.mem_get_info = lambda: 1, fail
hardware.devices()"""
    )
    assert "The NVIDIA driver on your system is too old. See whether" in said


@pytest.mark.parametrize(
    "failure", ["ImportError('undefined symbol: _ZN')", "OSError('CUDA_HOME is not set.')"]
)
def test_an_extension_that_cannot_be_loaded_is_told(failure: str) -> None:
    said = in_a_process_of_its_own(
        LOOK
        + f"""
import sys
class Broken:
    def find_spec(self, name, *_):
        if name == "exllamav2": raise {failure}
sys.meta_path.insert(0, Broken())
hardware.import_library()"""
    )
    assert "CUDA extension cannot be loaded" in said and "CUDA_HOME" in said
