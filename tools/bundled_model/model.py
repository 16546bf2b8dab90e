"""The network: a small Llama, written so that llama.cpp and ExLlamaV2 read its weights unchanged.

RMSNorm, rotary positions (the two halves of a head rotated, as Hugging Face does it), SwiGLU,
queries that share keys and values, tied embeddings. The weights are a plain dictionary under the
names of a Hugging Face `LlamaForCausalLM`, and the network is a function of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from tools.bundled_model.shape import Shape

Weights = dict[str, Tensor]


def _sizes(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and size of every weight; matrices are [out, in]."""
    yield "model.embed_tokens.weight", (shape.vocab, shape.hidden)
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    for index in range(shape.layers):
        layer = f"model.layers.{index}."
        yield layer + "input_layernorm.weight", (shape.hidden,)
        yield layer + "self_attn.q_proj.weight", (queries, shape.hidden)
        yield layer + "self_attn.k_proj.weight", (keys, shape.hidden)
        yield layer + "self_attn.v_proj.weight", (keys, shape.hidden)
        yield layer + "self_attn.o_proj.weight", (shape.hidden, queries)
        yield layer + "post_attention_layernorm.weight", (shape.hidden,)
        yield layer + "mlp.gate_proj.weight", (shape.ffn, shape.hidden)
        yield layer + "mlp.up_proj.weight", (shape.ffn, shape.hidden)
        yield layer + "mlp.down_proj.weight", (shape.hidden, shape.ffn)
    yield "model.norm.weight", (shape.hidden,)


def initial_weights(shape: Shape, seed: int) -> Weights:
    """Fresh weights: normal ones of deviation 0.02, smaller where a layer writes its result."""
    generator = torch.Generator().manual_seed(seed)
    weights: Weights = {}
    for name, size in _sizes(shape):
        if len(size) == 1:
            weight = torch.ones(size)
        else:
            writes = name.endswith(("o_proj.weight", "down_proj.weight"))
            deviation = 0.02 / (2 * shape.layers) ** 0.5 if writes else 0.02
            weight = torch.randn(size, generator=generator) * deviation
        weights[name] = weight.requires_grad_()
    return weights


def rope_tables(shape: Shape, length: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary angles, each [length, head_dim]."""
    half = torch.arange(0, shape.head_dim, 2, dtype=torch.float32) / shape.head_dim
    angles = torch.outer(torch.arange(length, dtype=torch.float32), shape.rope_theta**-half)
    both = torch.cat((angles, angles), dim=-1)
    return both.cos(), both.sin()


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def _norm(x: Tensor, scale: Tensor, shape: Shape) -> Tensor:
    return F.rms_norm(x, scale.shape, scale.to(x.dtype), shape.norm_eps)


def _attention(
    weights: Weights, layer: str, shape: Shape, x: Tensor, rope: tuple[Tensor, Tensor], mask: Tensor
) -> Tensor:
    """Mix the positions of `x` [batch, length, hidden] where `mask` allows it."""
    batch, length, _ = x.shape

    def project(kind: str, heads: int) -> Tensor:
        y = F.linear(x, weights[f"{layer}self_attn.{kind}_proj.weight"])
        return y.view(batch, length, heads, shape.head_dim).transpose(1, 2)

    query = _rotate(project("q", shape.heads), *rope)
    key, value = _rotate(project("k", shape.kv_heads), *rope), project("v", shape.kv_heads)
    group = shape.heads // shape.kv_heads
    key, value = key.repeat_interleave(group, dim=1), value.repeat_interleave(group, dim=1)
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    mixed = mixed.transpose(1, 2).reshape(batch, length, -1)
    return F.linear(mixed, weights[f"{layer}self_attn.o_proj.weight"])


def _feed_forward(weights: Weights, layer: str, x: Tensor) -> Tensor:
    gate = F.silu(F.linear(x, weights[f"{layer}mlp.gate_proj.weight"]))
    up = F.linear(x, weights[f"{layer}mlp.up_proj.weight"])
    return F.linear(gate * up, weights[f"{layer}mlp.down_proj.weight"])


def forward(weights: Weights, shape: Shape, ids: Tensor, chats: Tensor) -> Tensor:
    """Logits [batch, length, vocab] of `ids` [batch, length].

    `chats` [batch, length] numbers the chat that each token belongs to: several are packed into a
    row, and a token sees only its own.
    """
    length = ids.shape[1]
    x = F.embedding(ids, weights["model.embed_tokens.weight"]).bfloat16()
    cos, sin = rope_tables(shape, length)
    rope = cos.bfloat16(), sin.bfloat16()
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    mask = ((chats[:, :, None] == chats[:, None, :]) & causal)[:, None]
    low = {name: weight.bfloat16() for name, weight in weights.items()}
    for index in range(shape.layers):
        layer = f"model.layers.{index}."
        y = _norm(x, low[layer + "input_layernorm.weight"], shape)
        x = x + _attention(low, layer, shape, y, rope, mask)
        y = _norm(x, low[layer + "post_attention_layernorm.weight"], shape)
        x = x + _feed_forward(low, layer, y)
    x = _norm(x, low["model.norm.weight"], shape)
    return F.linear(x, low["model.embed_tokens.weight"]).float()
