"""Write the model as GGUF, and read it back.

llama.cpp rotates neighbouring numbers of a head where Hugging Face rotates its two halves: the
rows of the query and key matrices change places on the way, and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from tools.bundled_model.shape import Shape
from tools.bundled_model.tokenizer import CHAT_TEMPLATE, END, END_OF_TEXT, PRE_TOKENIZER, SPECIAL

Array = NDArray[np.float32]
NAME, LICENCE = "mesh-demo", "MIT"
DESCRIPTION = "Small demonstration model of the mesh, trained from scratch on generated chats."
_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


@dataclass(frozen=True)
class Model:
    """Everything that the file holds; weights under their Hugging Face names."""

    shape: Shape
    weights: dict[str, Array]
    tokens: list[str]
    merges: list[str]
    chat_template: str


def names(layers: int) -> dict[str, str]:
    """GGUF's name of every tensor, and Hugging Face's."""
    table = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
    }
    for index in range(layers):
        for short, long in _LAYER_NAMES.items():
            table[f"blk.{index}.{short}.weight"] = f"model.layers.{index}.{long}.weight"
    return table


def interleaved(matrix: Array, heads: int) -> Array:
    """Rows of a query or key matrix [out, in] in llama.cpp's order: the two halves alternate."""
    return matrix.reshape(heads, 2, -1, matrix.shape[1]).swapaxes(1, 2).reshape(matrix.shape)


def halved(matrix: Array, heads: int) -> Array:
    """The inverse of `interleaved`."""
    return matrix.reshape(heads, -1, 2, matrix.shape[1]).swapaxes(1, 2).reshape(matrix.shape)


def _rotated_heads(name: str, shape: Shape) -> int:
    """How many heads the tensor rotates; 0 if it is neither a query nor a key matrix."""
    return {"attn_q": shape.heads, "attn_k": shape.kv_heads}.get(name.split(".")[-2], 0)


def write(path: Path, model: Model, kind: gguf.GGMLQuantizationType) -> None:
    """Write the model with its matrices as `kind` and its scales as 32-bit floats."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "llama")
    _write_header(writer, model, kind)
    _write_tokenizer(writer, model)
    for name, long in names(model.shape.layers).items():
        weight = model.weights[long]
        if heads := _rotated_heads(name, model.shape):
            weight = interleaved(weight, heads)
        if weight.ndim == 1:
            writer.add_tensor(name, weight)
        else:
            writer.add_tensor(name, gguf.quants.quantize(weight, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_header(writer: gguf.GGUFWriter, model: Model, kind: gguf.GGMLQuantizationType) -> None:
    shape = model.shape
    writer.add_name(NAME)
    writer.add_description(DESCRIPTION)
    writer.add_license(LICENCE)
    writer.add_languages(["en"])
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_vocab_size(shape.vocab)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{kind.name}"])


def _write_tokenizer(writer: gguf.GGUFWriter, model: Model) -> None:
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZER)
    writer.add_token_list(model.tokens)
    writer.add_token_types([control if token in SPECIAL else normal for token in model.tokens])
    writer.add_token_merges(model.merges)
    writer.add_bos_token_id(model.tokens.index(END_OF_TEXT))
    writer.add_eos_token_id(model.tokens.index(END))
    writer.add_pad_token_id(model.tokens.index(END_OF_TEXT))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def read(path: Path) -> Model:
    """Read a file that `write` has written; the matrices come back as 32-bit floats."""
    reader = gguf.GGUFReader(path)

    def value(key: str) -> object:
        field = reader.get_field(key)
        if field is None:
            raise KeyError(f"{path} has no {key}: is it the bundled model?")
        return field.contents()

    def number(key: str) -> int:
        return int(str(value(f"llama.{key}")))

    shape = Shape(
        vocab=number("vocab_size"),
        hidden=number("embedding_length"),
        layers=number("block_count"),
        heads=number("attention.head_count"),
        kv_heads=number("attention.head_count_kv"),
        head_dim=number("attention.key_length"),
        ffn=number("feed_forward_length"),
        context=number("context_length"),
        rope_theta=float(str(value("llama.rope.freq_base"))),
        norm_eps=float(str(value("llama.attention.layer_norm_rms_epsilon"))),
    )
    table = names(shape.layers)
    weights: dict[str, Array] = {}
    for tensor in reader.tensors:
        weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if heads := _rotated_heads(tensor.name, shape):
            weight = halved(weight, heads)
        weights[table[tensor.name]] = weight
    return Model(
        shape=shape,
        weights=weights,
        tokens=_texts(value("tokenizer.ggml.tokens")),
        merges=_texts(value("tokenizer.ggml.merges")),
        chat_template=str(value("tokenizer.chat_template")),
    )


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return [str(text) for text in value]
