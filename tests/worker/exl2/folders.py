"""Writes the folder of a small model: configuration, tokenizer of bytes, fp16 weights.

Its tokens and its answers are those of `chain_model`. On a GPU its weights say them: attention and
feed-forward add nothing, and a token's row of the head is the embedding of its predecessor.
Without one `standin_model` does.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tests.worker.chain_model import END, SPECIAL, START, TEMPLATE, byte_tokens, successors

HIDDEN, HEADS, KEY_HEADS, LAYERS = 128, 2, 1, 2
VOCABULARY = len(SPECIAL) + 256


def write(path: Path, context: int = 32_768, **changes: Any) -> Path:
    """Write a model. changes: of its config.json; None takes a field out."""
    path.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "bos_token_id": START,
        "eos_token_id": END,
        "hidden_size": HIDDEN,
        "intermediate_size": HIDDEN,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS,
        "num_hidden_layers": LAYERS,
        "max_position_embeddings": context,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": False,
        "vocab_size": VOCABULARY,
    } | changes
    kept = {name: value for name, value in config.items() if value is not None}
    (path / "config.json").write_text(json.dumps(kept))
    (path / "tokenizer_config.json").write_text(
        json.dumps(
            {"bos_token": SPECIAL[START], "eos_token": SPECIAL[END], "chat_template": TEMPLATE}
        )
    )
    tokenizer().save(str(path / "tokenizer.json"))
    save_file(weights(), path / "model.safetensors", metadata={"format": "pt"})
    return path


def tokenizer() -> Tokenizer:
    """Each byte a token, as byte-level BPE without a merge."""
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *byte_tokens()])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    return made


def weights() -> dict[str, np.ndarray]:
    """All of them, by name."""
    embeddings = np.random.default_rng(0).choice([-1.0, 1.0], (VOCABULARY, HIDDEN))
    head = np.zeros_like(embeddings)
    for before, following in successors():
        head[following] += 0.3 * embeddings[before]
    matrices = {name: np.zeros(shape) for name, shape in _shapes().items()}
    matrices |= {name: np.ones(HIDDEN) for name in matrices if name.endswith("norm")}
    matrices |= {"model.embed_tokens": embeddings, "lm_head": head, "model.norm": np.ones(HIDDEN)}
    return {f"{name}.weight": matrix.astype(np.float16) for name, matrix in matrices.items()}


def _shapes() -> dict[str, tuple[int, ...]]:
    width, keys = HIDDEN, HIDDEN // HEADS * KEY_HEADS
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(LAYERS):
        name = f"model.layers.{layer}"
        shapes |= {
            f"{name}.self_attn.q_proj": (width, width),
            f"{name}.self_attn.k_proj": (keys, width),
            f"{name}.self_attn.v_proj": (keys, width),
            f"{name}.self_attn.o_proj": (width, width),
            f"{name}.mlp.gate_proj": (width, width),
            f"{name}.mlp.up_proj": (width, width),
            f"{name}.mlp.down_proj": (width, width),
            f"{name}.input_layernorm": (width,),
            f"{name}.post_attention_layernorm": (width,),
        }
    return shapes
