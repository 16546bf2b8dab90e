"""Loads a model onto the GPUs: configuration, weights, cache, draft model, LoRAs. Blocks."""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import exllamav2
import torch
from exllamav2.generator import ExLlamaV2DynamicGenerator
from msgspec import Struct
from rich.console import Console
from rich.progress import Progress
from tokenizers import Tokenizer

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import WorkerSettings
from mesh.worker.engines.exllamav2 import attention, tensor
from mesh.worker.engines.exllamav2.folder import ModelFolder
from mesh.worker.engines.exllamav2.memory import GIB
from mesh.worker.engines.exllamav2.plan import NGRAM, Plan, loras

log = logging.getLogger(__name__)

_CACHES = {
    "FP16": "ExLlamaV2Cache",
    "Q8": "ExLlamaV2Cache_Q8",
    "Q6": "ExLlamaV2Cache_Q6",
    "Q4": "ExLlamaV2Cache_Q4",
}


class Loaded(Struct, kw_only=True):
    """A model on its GPUs. vocabulary: how many ids it has; models: it, and the one that drafts;
    arguments: of a generator."""

    tokenizer: Tokenizer
    vocabulary: int
    models: list[Any]
    loras: list[object]
    arguments: dict[str, object]

    def make_generator(self) -> ExLlamaV2DynamicGenerator:
        """A generator with an empty page table; one made before must not be used any more."""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        generator = ExLlamaV2DynamicGenerator(**self.arguments)
        if self.loras:
            generator.set_loras(self.loras)
        return generator

    def unload(self) -> None:
        """Free the GPUs' memory."""
        for model in self.models:
            model.unload()
        self.models, self.arguments = [], {}
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # or PyTorch would keep it, for itself alone


def load(plan: Plan, settings: WorkerSettings) -> Loaded:
    """Raises MeshError: bad_request where the settings can mend it, engine_failed otherwise."""
    config = _config(plan.folder, plan, settings)
    spread = settings.gpu_split == "tensor"
    if spread:
        tensor.check(plan.folder, config, settings)
    guessing = _config(plan.draft, plan, settings) if plan.draft is not None else None
    _choose_attention(config, guessing or config)
    tokenizer, pieces = _tokenizer(plan.folder), _pieces(plan.folder, config)
    model, cache = _load_model(plan.folder, config, plan.pool, settings, spread)
    arguments: dict[str, object] = {
        "model": model,
        "cache": cache,
        "tokenizer": pieces,
        "max_batch_size": plan.slots,
        "max_chunk_size": plan.chunk,
        "max_q_size": plan.drafts + 1,
        "num_draft_tokens": plan.drafts,
        "use_ngram_draft": settings.draft == NGRAM,
        "paged": True,
    }
    models = [model]
    if plan.draft is not None:
        _check_vocabulary(tokenizer, plan.draft)
        guesser, guesses = _load_model(plan.draft, guessing, plan.pool, settings)
        arguments |= {"draft_model": guesser, "draft_cache": guesses}
        models.append(guesser)
    adapters = [_load_lora(model, path, scale) for path, scale in loras(settings)]
    return Loaded(
        tokenizer=tokenizer,
        vocabulary=model.config.vocab_size,
        models=models,
        loras=adapters,
        arguments=arguments,
    )


def _choose_attention(*configs: Any) -> None:
    """Let PyTorch compute it where flash-attn is not there, or cannot do what a model needs."""
    there = attention.is_there()
    if not there or any(config.no_flash_attn for config in configs):
        attention.replace_flash_attn()
        old = "The flash-attn here cannot do what this model needs. " if there else ""
        log.warning("%s%s", old, attention.WARNING)
    for config in configs:
        config.no_flash_attn = False


def _tokenizer(folder: ModelFolder) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(folder.path / "tokenizer.json"))
    except Exception as error:  # The library raises nothing more special.
        raise _bad(
            f"{folder.path / 'tokenizer.json'} is not what it should be; download it again:"
            f" {_said(error)}."
        ) from error


def _pieces(folder: ModelFolder, config: Any) -> Any:
    """The library's own tokenizer."""
    try:
        return exllamav2.ExLlamaV2Tokenizer(config)
    except Exception as error:  # as above
        raise _bad(
            f"ExLlamaV2 cannot use the tokenizer of {folder.path}: {_said(error)}. See what"
            " config.json, tokenizer_config.json and tokenizer.json say of special tokens."
        ) from error


def _check_vocabulary(tokenizer: Tokenizer, draft: ModelFolder) -> None:
    if _tokenizer(draft).get_vocab() != tokenizer.get_vocab():
        raise _bad(
            f"MESH_DRAFT: {draft.path} has other tokens than the model; take a small model of the"
            " same family."
        )


def _load_model(
    folder: ModelFolder, config: Any, pool: int, settings: WorkerSettings, spread: bool = False
) -> tuple[Any, Any]:
    """A model and its cache of so many tokens, with a progress bar on stderr. spread: each matrix
    over all GPUs."""
    kind = getattr(exllamav2, _CACHES[settings.cache_type])
    try:
        model = exllamav2.ExLlamaV2(config)
        with _progress(folder.path.name) as report:
            if spread:
                return model, tensor.load(model, kind, pool, settings, report)
            cache = kind(model, max_seq_len=pool, lazy=True)
            reserve = int(settings.gpu_reserve * GIB)
            model.load_autosplit(cache, reserve_vram=reserve, callback=report)
            return model, cache
    except (RuntimeError, AssertionError, ValueError, KeyError, OSError) as error:
        raise _failed(folder, error) from error


def _config(folder: ModelFolder, plan: Plan, settings: WorkerSettings) -> Any:
    """The library's configuration. Raises MeshError for what it does not support."""
    config = exllamav2.ExLlamaV2Config()
    config.model_dir = str(folder.path)
    try:
        config.prepare()
    except Exception as error:  # of whatever kind: it takes what it reads for granted
        raise _bad(f"ExLlamaV2 cannot read {folder.path}: {_said(error)}.") from error
    _check_architecture(folder, config)
    rope = folder.config.sizes.rope_parameters
    if folder.config.sizes.rope_theta is None and rope is not None and rope.rope_theta:
        config.rotary_embedding_base = rope.rope_theta
    config.max_seq_len = plan.length
    config.max_input_len = plan.chunk
    config.max_attention_size = plan.chunk**2
    config.max_output_len = plan.drafts + 1
    config.scale_pos_emb = settings.rope_scale or config.scale_pos_emb
    config.scale_alpha_value = settings.rope_alpha or config.scale_alpha_value
    config.arch_compat_overrides(quiet=True)
    return config


def _check_architecture(folder: ModelFolder, config: Any) -> None:
    """The library loads what it does not know as a Llama, and only prints that it does."""
    if config.arch.arch_string != config.architecture:
        raise _bad(
            f"ExLlamaV2 does not know the architecture {config.architecture} of {folder.path};"
            " serve a GGUF file of this model instead."
        )


def _load_lora(model: Any, path: Path, scale: float) -> object:
    try:
        return exllamav2.ExLlamaV2Lora.from_directory(model, str(path), scale)
    except Exception as error:  # Of three libraries, which have no exception in common.
        raise _bad(
            f"MESH_LORA: {path} is no LoRA of this model, or not whole: {_said(error)}."
        ) from error


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None]]:
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(f"Loading {name}")
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _failed(folder: ModelFolder, error: Exception) -> MeshError:
    said = _said(error)
    if "VRAM" in said or "memory" in said or "Insufficient space" in said:
        return _bad(
            f"{folder.path.name} needs more GPU memory than is free ({said}): lower"
            " MESH_CACHE_TOKENS or MESH_CONTEXT, set MESH_CACHE_TYPE to Q8, Q6 or Q4, lower"
            " MESH_PREFILL, or take a model of fewer bits."
        )
    return MeshError(ErrorCode.ENGINE_FAILED, f"ExLlamaV2 could not load {folder.path}: {said}.")


def _said(error: Exception) -> str:
    lines = str(error).strip(" #\n").splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__


def _bad(detail: str) -> MeshError:
    return MeshError(ErrorCode.BAD_REQUEST, detail)
