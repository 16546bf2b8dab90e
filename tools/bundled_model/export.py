"""Make the shipped GGUF from a checkpoint, or a Hugging Face folder from the shipped GGUF.

The second way needs no torch: `--hf DIR` reads the GGUF and writes 16-bit safetensors, the
tokenizer and the configurations, as an engine for GPUs wants them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import save_file

from mesh.worker.bundled import PATH
from tools.bundled_model import gguf_file
from tools.bundled_model.shape import Shape
from tools.bundled_model.tokenizer import (
    CHAT_TEMPLATE,
    END,
    END_OF_TEXT,
    SPECIAL,
    tokenizer_json,
    tokens_and_merges,
)


def from_checkpoints(
    folders: Sequence[Path], target: Path, kind: gguf.GGMLQuantizationType
) -> None:
    """Write the weights and the tokenizer that training left in a folder as one GGUF.

    Of several folders, which must be legs of one training, the mean of the weights: it often
    answers better than each. A folder that is named twice counts twice.
    """
    import torch

    states = [torch.load(folder / "checkpoint.pt") for folder in folders]
    tokens, merges = tokens_and_merges(folders[0] / "tokenizer.json")
    weights = {
        name: np.mean([state["weights"][name].numpy() for state in states], axis=0)
        for name in states[0]["weights"]
    }
    shape = Shape(**states[0]["shape"])
    gguf_file.write(target, gguf_file.Model(shape, weights, tokens, merges, CHAT_TEMPLATE), kind)


def config(shape: Shape, tokens: list[str]) -> dict[str, Any]:
    """The `config.json` of a `LlamaForCausalLM`."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocab,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": shape.context,
        "rope_theta": shape.rope_theta,
        "rms_norm_eps": shape.norm_eps,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": tokens.index(END_OF_TEXT),
        "eos_token_id": tokens.index(END),
        "pad_token_id": tokens.index(END_OF_TEXT),
        "torch_dtype": "float16",
    }


def to_hugging_face(source: Path, folder: Path) -> None:
    """Write the GGUF at `source` as a Hugging Face folder."""
    model = gguf_file.read(source)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: weight.astype(np.float16) for name, weight in model.weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    settings = config(model.shape, model.tokens)
    ids = {key: settings[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    _write(folder / "config.json", settings)
    _write(folder / "generation_config.json", {**ids, "do_sample": False})
    _write(folder / "tokenizer.json", tokenizer_json(model.tokens, model.merges))
    _write(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": model.shape.context,
            "add_bos_token": False,
            "add_eos_token": False,
            "bos_token": END_OF_TEXT,
            "eos_token": END,
            "pad_token": END_OF_TEXT,
            "additional_special_tokens": list(SPECIAL),
            "clean_up_tokenization_spaces": False,
            "chat_template": model.chat_template,
        },
    )


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    folders = "folder of a training, or of several legs of it to average; writes the GGUF"
    parser.add_argument("--checkpoint", type=Path, nargs="+", metavar="DIR", help=folders)
    parser.add_argument("--gguf", type=Path, default=PATH, help="the GGUF to write or to read")
    parser.add_argument("--type", default="Q8_0", choices=("Q8_0", "F16"))
    parser.add_argument("--hf", type=Path, help="write a Hugging Face folder from the GGUF")
    arguments = parser.parse_args()
    if arguments.checkpoint:
        kind = gguf.GGMLQuantizationType[arguments.type]
        from_checkpoints(arguments.checkpoint, arguments.gguf, kind)
        print(f"wrote {arguments.gguf}, {arguments.gguf.stat().st_size / 1e6:.2f} MB")
    if arguments.hf:
        to_hugging_face(arguments.gguf, arguments.hf)
        print(f"wrote {arguments.hf}")


if __name__ == "__main__":
    main()
