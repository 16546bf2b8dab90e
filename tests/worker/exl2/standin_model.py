"""A stand-in for ExLlamaV2's model: known answers, out of a real paged cache, on the CPU.

It writes each token's id into the cache, where keys and values would be, and reads the whole
sequence back out of it, through the block table, before it answers. So an answer is right only if
every page of every request is where it should be: prefix cache, eviction, rewinding and all.

The likeliest next token is the one that `chain_model` says; all others have small logits, drawn
from a hash of the whole sequence.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any
from zlib import crc32

import exllamav2
import numpy as np
import torch
from exllamav2.tensor_p import TPContext
from torch import Tensor

from tests.worker.chain_model import successors
from tests.worker.exl2.folders import VOCABULARY

REAL_MODEL = exllamav2.ExLlamaV2
"""This module is imported before the stand-in takes its place."""
LIKELY = 8.0
"""The logit of the token that has to come; the others' are between -1 and 1."""
STEP_HOOKS: list[Callable[["StandinModel", Tensor], object]] = []
"""Called with each forward pass's ids, before anything: tests make it fail here."""
LOGIT_HOOKS: list[Callable[["StandinModel", list[int], Tensor], object]] = []
"""Called with each row's sequence and logits, to change them in place."""


class StandinModel:
    """What the generator and the loader want of `exllamav2.ExLlamaV2`."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.cache_map: dict[int, str] = {}
        self.unloaded = False
        self.chunks: list[tuple[int, int]] = []
        self.loras: list[Sequence[object] | None] = []
        self.tp_context: TPContext | None = None

    def load_autosplit(self, cache: Any, reserve_vram: int, callback: Callable[..., None]) -> None:
        self.config.max_input_len = min(self.config.max_input_len, self.config.max_seq_len)
        layers = self.config.num_hidden_layers
        for layer in range(layers):
            self.cache_map[layer] = "cpu"
            callback(layer, layers)
        cache.update_cache_tensors()
        callback(layers, layers)

    def load_tp(
        self,
        gpu_split: list[float],
        callback: Callable[..., None],
        expect_cache_tokens: int,
        expect_cache_base: type,
    ) -> None:
        """The library's own division among the GPUs; all of them are the CPU."""
        real = REAL_MODEL(self.config)
        self.tp_context = TPContext(real, gpu_split, expect_cache_tokens, expect_cache_base)
        self.cache_map = dict.fromkeys(range(self.config.num_hidden_layers), "cpu")
        callback(1, 1)

    @cached_property
    def modules_dict(self) -> dict[str, Any]:
        """The library's own modules, without weights, for LoRAs to be put into."""
        modules: dict[str, Any] = REAL_MODEL(self.config).modules_dict
        for module in modules.values():
            module.set_device_idx(-1)
        return modules

    def update_loras(self) -> None:
        """What LoRAs change on a GPU is told to the extension here."""

    def unload(self) -> None:
        self.unloaded = True

    def forward_chunk(
        self,
        input_ids: Tensor,
        attn_params: Any,
        cache: Any,
        preprocess_only: bool = False,
        loras: Sequence[object] | None = None,
        indexed_embeddings: object = None,
    ) -> dict[str, Tensor]:
        """Logits of (requests, rows, vocabulary and its padding) for ids of (requests, rows)."""
        for hook in STEP_HOOKS:
            hook(self, input_ids)
        self.chunks.append((input_ids.shape[0], input_ids.shape[1]))
        self.loras.append(loras)
        rows = [
            self._row(input_ids[row], attn_params, row, cache, preprocess_only)
            for row in range(input_ids.shape[0])
        ]
        return {} if preprocess_only else {"logits": torch.stack(rows)}

    def _row(self, ids: Tensor, params: Any, row: int, cache: Any, preprocess_only: bool) -> Tensor:
        past, page = int(params.cache_seqlens[row]), params.page_size
        assert past + len(ids) <= self.config.max_seq_len, "beyond the positions there are"
        places = torch.arange(past + len(ids))
        slots = params.block_index[row].long()[places // page] * page + places % page
        for each in getattr(cache, "caches", [cache]):  # of each GPU, where they work together
            store = each.key_states[0][0, :, 0]
            store[slots[past:], 0] = (ids // 256).to(store.dtype)
            store[slots[past:], 1] = (ids % 256).to(store.dtype)
        if preprocess_only:
            return ids
        read = store[slots, :2].long()
        sequence = (read[:, 0] * 256 + read[:, 1]).tolist()
        return torch.stack([self._logits(sequence[: past + at + 1]) for at in range(len(ids))])

    def _logits(self, sequence: list[int]) -> Tensor:
        seed = crc32(np.array(sequence, np.int32).tobytes())
        drawn = np.random.Generator(np.random.PCG64(seed)).random(VOCABULARY, np.float32) * 2 - 1
        logits = torch.full((-(-VOCABULARY // 32) * 32,), -65504.0)
        logits[:VOCABULARY] = torch.from_numpy(drawn)
        following = _SUCCESSORS.get(sequence[-1])
        if following is not None:
            logits[following] = LIKELY
        for hook in LOGIT_HOOKS:
            hook(self, sequence, logits)
        return logits


_SUCCESSORS = dict(successors())
