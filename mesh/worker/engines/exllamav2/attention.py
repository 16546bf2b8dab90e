"""Attention over a paged cache in plain PyTorch: exact, slow, for machines without flash-attn.

ExLlamaV2 batches requests and reuses prefixes only with paged attention, for which it calls one
function of flash-attn's. This is that function, as far as the library uses it. (Its own way
without flash-attn, through PyTorch's attention, lets tokens see those after them; the engine
never goes it, as it generates in paged mode only.)
"""

import torch
from exllamav2 import attn
from torch import Tensor

ROWS = 256
"""Query rows of one request worked on at a time where scores have to be held whole."""

WARNING = (
    "flash-attn is not installed: PyTorch computes attention, with the same result, but slower (the"
    " more so the longer the texts) and with more memory. Install it with:"
    " pip install flash-attn --no-build-isolation"
)


def is_there() -> bool:
    """Whether flash-attn is, in a version that knows pages."""
    there: bool = (
        attn.has_flash_attn_with_paged and attn.flash_attn_with_kvcache is not paged_attention
    )
    return there


def replace_flash_attn() -> None:
    """Let the library call `paged_attention`, for all models of this process."""
    attn.flash_attn_with_kvcache = paged_attention
    attn.has_flash_attn_with_paged = True
    attn.has_flash_attn_with_window = True
    attn.has_flash_attn_with_softcap = True


def paged_attention(
    q: Tensor,
    k_cache: Tensor,
    v_cache: Tensor,
    k: Tensor | None,
    v: Tensor | None,
    *,
    cache_seqlens: Tensor,
    block_table: Tensor,
    causal: bool,
    softmax_scale: float,
    window_size: tuple[int, int] = (-1, -1),
    softcap: float = 0.0,
) -> Tensor:
    """What flash_attn_with_kvcache returns: (batch, rows, heads, width), as q is.

    k_cache, v_cache: (pages, tokens of a page, heads of keys, width). block_table: (batch, pages)
    the pages of each request, in order. cache_seqlens: (batch) its tokens in them, without those
    of k and v, which are written behind them first; with them, where k and v are None. The last
    row of q is the last token. window_size: how many tokens before its own a row sees, -1 for
    all; causal has to be true.
    """
    if not causal:
        raise NotImplementedError("only causal attention is needed, and given")
    lengths = cache_seqlens.long()
    if k is not None:
        _append(k_cache, k, lengths, block_table)
        _append(v_cache, v, lengths, block_table)
        lengths = lengths + q.shape[1]
    longest = int(lengths.max())
    there = torch.arange(longest, device=q.device) < lengths[:, None]
    keys = _gather(k_cache, block_table, there)
    values = _gather(v_cache, block_table, there)
    seen = _seen(lengths, q.shape[1], longest, window_size[0])
    heads = q.shape[2] // k_cache.shape[2]
    keys, values = (each.repeat_interleave(heads, dim=2).transpose(1, 2) for each in (keys, values))
    rows = q.transpose(1, 2)
    if softcap:
        out = _softcapped(rows, keys, values, seen, softmax_scale, softcap)
    else:
        out = torch.nn.functional.scaled_dot_product_attention(
            rows, keys, values, attn_mask=seen, scale=softmax_scale
        )
    return out.transpose(1, 2)


def _append(cache: Tensor, new: Tensor | None, lengths: Tensor, block_table: Tensor) -> None:
    assert new is not None
    page = cache.shape[1]
    at = lengths[:, None] + torch.arange(new.shape[1], device=new.device)
    cache[block_table.long().gather(1, at // page), at % page] = new


def _gather(cache: Tensor, block_table: Tensor, there: Tensor) -> Tensor:
    """(batch, tokens, heads, width); zeros where a request has no token: what lies there may be
    anything, and a weight of zero does not hide a NaN."""
    count = -(-there.shape[1] // cache.shape[1])
    found = cache[block_table[:, :count].long()].flatten(1, 2)[:, : there.shape[1]]
    return found.masked_fill(~there[:, :, None, None], 0.0)


def _seen(lengths: Tensor, rows: int, longest: int, window: int) -> Tensor:
    """(batch, 1, rows, tokens): whether a row sees a token."""
    row = lengths[:, None] - rows + torch.arange(rows, device=lengths.device)
    token = torch.arange(longest, device=lengths.device)
    distance = row[:, :, None] - token
    seen = distance >= 0
    if window >= 0:
        seen &= distance <= window
    return seen[:, None]


def _softcapped(
    q: Tensor, keys: Tensor, values: Tensor, seen: Tensor, scale: float, softcap: float
) -> Tensor:
    """Attention whose scores are bent to lie within `softcap`, a few rows at a time."""
    parts = []
    for at in range(0, q.shape[2], ROWS):
        scores = (q[:, :, at : at + ROWS] @ keys.transpose(2, 3)).float() * scale
        scores = softcap * torch.tanh(scores / softcap)
        scores = scores.masked_fill(~seen[:, :, at : at + ROWS], float("-inf"))
        parts.append(scores.softmax(-1).to(values.dtype) @ values)
    return torch.cat(parts, dim=2)
