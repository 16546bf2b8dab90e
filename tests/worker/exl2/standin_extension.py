"""A stand-in for ExLlamaV2's CUDA extension: the few functions that its generator calls on the CPU.

`install` has to run before exllamav2 is imported. What chooses a token is written after the
library's own `sampling.cpp`: the same steps in the same order, in PyTorch.
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import torch
from torch import Tensor


def install() -> None:
    """Be what `import exllamav2_ext` finds."""
    module = ModuleType("exllamav2_ext")
    module.__spec__ = ModuleSpec("exllamav2_ext", None)
    for function in (
        apply_rep_penalty,
        cache_rotate,
        count_match,
        fast_fadd_cpu,
        fast_fill_cpu_ones_bool,
        logit_filter_exclusive,
        partial_strings_match,
        sample_basic,
    ):
        setattr(module, function.__name__, function)
    sys.modules["exllamav2_ext"] = module


def count_match(a: Tensor, b: Tensor, max_a: int) -> int:
    """How many leading ids are the same."""
    size = min(a.shape[-1], b.shape[-1], max_a)
    same = (a[0, :size] == b[0, :size]).tolist()
    return len(same) if all(same) else int(same.index(False))


def cache_rotate(cache: Tensor, order: Tensor, buffer: Tensor) -> None:
    """Move pages round: each page of `order` gets what is in the next."""
    at = order.tolist()
    first = cache[at[0]].clone()
    for target, source in zip(at, at[1:], strict=False):
        cache[target] = cache[source]
    cache[at[-1]] = first


def partial_strings_match(text: np.ndarray, offsets: np.ndarray, strings: np.ndarray) -> int:
    """Where a string stands in the text; -2: one may begin at its end; -1: none."""
    said = text.tobytes().decode("utf-32-le")
    bounds = offsets.view(np.int32).tolist()
    packed = strings.tobytes()
    for start, end in zip(bounds, bounds[1:], strict=False):
        wanted = packed[start:end].decode("utf-32-le")
        for at in range(len(said)):
            if said.startswith(wanted, at):
                return at
            if wanted.startswith(said[at:]):
                return -2
    return -1


def apply_rep_penalty(
    sequence: Tensor,
    penalty: float,
    sustain: int,
    decay: int,
    frequency: float,
    presence: float,
    logits: Tensor,
) -> None:
    """Penalise the ids of the last `sustain` tokens, -1: of all."""
    assert decay == 0, "not needed here"
    ids = sequence[0]
    if sustain >= 0:
        ids = ids[len(ids) - min(sustain, len(ids)) :]
    found, counts = ids.unique(return_counts=True)
    row = logits.view(-1)
    value = row[found]
    value = torch.where(value > 0, value / penalty, value * penalty)
    row[found] = value - presence - frequency * counts


def fast_fadd_cpu(logits: Tensor, bias: Tensor) -> None:
    logits += bias


def fast_fill_cpu_ones_bool(allowed: Tensor) -> None:
    allowed.fill_(True)


def logit_filter_exclusive(allowed: Tensor, lists: list[list[int]]) -> None:
    """Allow only what is in the lists, one for each row."""
    for row, ids in enumerate(lists):
        keep = torch.zeros_like(allowed[row])
        keep[ids] = True
        allowed[row] &= keep


def sample_basic(
    logits: Tensor,
    temperature: float,
    top_k: int,
    top_p: float,
    top_a: float,
    min_p: float,
    tfs: float,
    typical: float,
    random: float,
    output_tokens: Tensor,
    output_probs: Tensor,
    output_kprobs: Tensor,
    output_ktokens: Tensor,
    allowed: Tensor,
    *rest: object,
) -> list[float]:
    """Choose a token for the one row of logits."""
    assert -(1 << 31) <= top_k < 1 << 31, "incompatible function arguments"
    if temperature < 0.01:
        temperature, top_k = 1.0, 1
    row = logits[0, 0].double()
    if not allowed.is_meta:
        row = row.masked_fill(~allowed.view(-1), float("-inf"))
    probs, ids = (row / temperature).softmax(-1).sort(descending=True, stable=True)
    if 0 < top_k < len(probs):
        probs, ids = _keep(probs, ids, torch.arange(len(probs)) < top_k)
    if 0 < top_p < 1:
        probs, ids = _keep(probs, ids, probs.cumsum(0) - probs < top_p)
    if 0 < min_p < 1:
        probs, ids = _keep(probs, ids, probs >= min_p * probs[0])
    if 0 < typical < 1:
        probs, ids = _keep(probs, ids, _typical(probs, typical))
    chosen = int((probs.cumsum(0) <= random * 0.9998).sum().clamp(max=len(probs) - 1))
    output_tokens[0, 0] = ids[chosen]
    output_probs[0, 0] = probs[chosen]
    return []


def _keep(probs: Tensor, ids: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    probs = probs[kept]
    return probs / probs.sum(), ids[kept]


def _typical(probs: Tensor, mass: float) -> Tensor:
    """The tokens whose surprise is nearest to the expected one, up to a mass."""
    surprise = -probs.clamp(min=1e-10).log()
    order = (surprise - (probs * surprise).sum()).abs().argsort(stable=True)
    within = probs[order].cumsum(0) - probs[order] < mass
    kept = torch.zeros_like(probs, dtype=torch.bool)
    kept[order[within]] = True
    return kept
