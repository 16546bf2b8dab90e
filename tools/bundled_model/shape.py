"""The sizes of the network, apart from it: the export needs them without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of the network. Widths are multiples of 32, which Q8_0 blocks need."""

    vocab: int = 1024
    hidden: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    ffn: int = 704
    context: int = 1024
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
