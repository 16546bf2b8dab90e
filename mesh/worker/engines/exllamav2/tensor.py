"""Loads a model with each of its matrices spread over all GPUs, where ExLlamaV2 can do that.

It can for EXL2 weights of some architectures, through flash-attn alone. The rest it would break off
in the middle of, or answer without: LoRAs are left out in silence.
"""

from collections.abc import Callable
from typing import Any

import exllamav2

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import WorkerSettings
from mesh.worker.engines.exllamav2 import attention, hardware
from mesh.worker.engines.exllamav2.folder import ModelFolder
from mesh.worker.engines.exllamav2.memory import GIB

BLOCK = 128
"""Inner rows that stay together on a GPU."""


def check(folder: ModelFolder, config: Any, settings: WorkerSettings) -> None:
    """Raise MeshError (bad_request) for what cannot be spread. config: the library's."""
    quantized = folder.config.quantization_config
    if not attention.is_there():
        _refuse("it needs flash-attn, which is not installed")
    if quantized is None or quantized.quant_method != "exl2":
        _refuse(f"it needs EXL2 weights, and those of {folder.path.name} are {folder.form}")
    if not config.arch.lm.supports_tp:
        _refuse(f"ExLlamaV2 cannot do it for {config.architecture}")
    if config.sliding_window:
        _refuse(f"{folder.path.name} attends through a sliding window")
    if config.intermediate_size % BLOCK:
        _refuse(f"the intermediate size of {folder.path.name} is no multiple of {BLOCK}")
    if settings.lora:
        _refuse("it leaves LoRAs out; take MESH_LORA away")


def load(
    model: Any, kind: type, pool: int, settings: WorkerSettings, report: Callable[[int, int], None]
) -> Any:
    """Load the weights; returns the cache. kind: its type; pool: its tokens."""
    free = [max(0.0, each.free / GIB - settings.gpu_reserve) for each in hardware.devices()]
    model.load_tp(gpu_split=free, callback=report, expect_cache_tokens=pool, expect_cache_base=kind)
    return exllamav2.ExLlamaV2Cache_TP(model, base=kind, max_seq_len=pool)


def _refuse(why: str) -> None:
    raise MeshError(
        ErrorCode.BAD_REQUEST,
        f"MESH_GPU_SPLIT=tensor cannot be had here: {why}. MESH_GPU_SPLIT=auto, the default,"
        " fills one GPU after the other.",
    )
