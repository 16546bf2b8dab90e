"""The models that are measured: the bundled one, as safetensors and as GGUF, and a large one.

The large one has the shape of an 8B Llama and random weights: as fast as a trained one, and
nothing has to be downloaded. Its tokenizer is the bundled model's.
"""

import json
import shutil
from pathlib import Path

import gguf
import torch
from safetensors.torch import save_file

from mesh.worker.bundled import PATH
from tools.bundled_model import gguf_file
from tools.bundled_model.export import to_hugging_face

LARGE = {
    "vocab_size": 128_256,
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 8192,
    "rope_theta": 500_000.0,
}


def bundled(folder: Path) -> tuple[Path, Path]:
    """The bundled model as a folder of safetensors and as a GGUF file, both of the same fp16."""
    to_hugging_face(PATH, folder / "bundled")
    model, file = gguf_file.read(PATH), folder / "bundled-f16.gguf"
    gguf_file.write(file, model, gguf.GGMLQuantizationType.F16)
    return folder / "bundled", file


def large(folder: Path, small: Path) -> Path:
    """An 8B Llama with random fp16 weights, a file per layer: 16 GB."""
    target = folder / "large-8b"
    target.mkdir(exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(small / name, target / name)
    config = json.loads((small / "config.json").read_text()) | LARGE
    config["tie_word_embeddings"] = False
    (target / "config.json").write_text(json.dumps(config))
    width, vocabulary = int(LARGE["hidden_size"]), int(LARGE["vocab_size"])
    ends = {
        "model.embed_tokens": (vocabulary, width),
        "lm_head": (vocabulary, width),
        "model.norm": (width,),
    }
    _save(target / "ends.safetensors", ends)
    for layer in range(int(LARGE["num_hidden_layers"])):
        shapes = {f"model.layers.{layer}.{name}": shape for name, shape in _layer().items()}
        _save(target / f"layer-{layer:02}.safetensors", shapes)
    return target


def _layer() -> dict[str, tuple[int, ...]]:
    width, inner = int(LARGE["hidden_size"]), int(LARGE["intermediate_size"])
    keys = int(LARGE["num_key_value_heads"]) * int(LARGE["head_dim"])
    return {
        "self_attn.q_proj": (width, width),
        "self_attn.k_proj": (keys, width),
        "self_attn.v_proj": (keys, width),
        "self_attn.o_proj": (width, width),
        "mlp.gate_proj": (inner, width),
        "mlp.up_proj": (inner, width),
        "mlp.down_proj": (width, inner),
        "input_layernorm": (width,),
        "post_attention_layernorm": (width,),
    }


def _save(file: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    if not file.exists():
        tensors = {f"{name}.weight": _random(shape) for name, shape in shapes.items()}
        save_file(tensors, file, metadata={"format": "pt"})


def _random(shape: tuple[int, ...]) -> torch.Tensor:
    if len(shape) == 1:
        return torch.ones(shape, dtype=torch.float16)
    return (torch.randn(shape) * 0.02).half()
