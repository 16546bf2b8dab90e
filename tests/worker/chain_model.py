"""Writes a GGUF model whose every answer is known: each token has exactly one successor.

A Llama of one layer whose attention and feed-forward add nothing, so that the hidden state is the
last token's embedding; the output row of a token is the embedding of its predecessor. Its tokens
are the 256 bytes, so it also speaks in characters that take several tokens.

It says the alphabet and a space for ever after a prompt that ends with "A"; the digits, then the
end, after "1?"; two characters of two and four bytes for ever after "!".
"""

from pathlib import Path

import gguf
import numpy as np

END, START = 0, 1
TEMPLATE = "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}{% endfor %}"
ALPHABET = "abcdefghijklmnopqrstuvwxyz "
DIGITS = "0123456789"
WIDE = "é🙂"

SPECIAL = ["<|end|>", "<|start|>"]

_WIDTH = 64


def write(path: Path, context: int = 32_768, pooled: bool = False) -> Path:
    """Write the model; some 300 kB, the same bytes every time. pooled: it is for embeddings."""
    writer = gguf.GGUFWriter(path, "llama")
    if pooled:
        writer.add_pooling_type(gguf.PoolingType.MEAN)
    tokens = SPECIAL + byte_tokens()
    _write_sizes(writer, context, len(tokens))
    _write_tokenizer(writer, tokens)
    embeddings = np.random.default_rng(0).choice([-1.0, 1.0], (len(tokens), _WIDTH))
    output = np.zeros_like(embeddings)
    for before, following in successors():
        output[following] += 0.3 * embeddings[before]
    _write_tensors(writer, embeddings, output)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def byte_tokens() -> list[str]:
    """Byte-level BPE's letters for the 256 bytes."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = iter(range(256, 512))
    return [chr(byte if byte in shown else next(hidden)) for byte in range(256)]


def _ids(text: str) -> list[int]:
    return [byte + len(SPECIAL) for byte in text.encode()]


def successors() -> list[tuple[int, int]]:
    """Each token that has a successor, and which."""
    pairs: list[tuple[int, int]] = []
    for start, chain, then in (("A", ALPHABET, ""), ("!", WIDE, ""), ("?", DIGITS, "end")):
        ids = _ids(chain)
        pairs += zip(_ids(start) + ids, [*ids, END if then else ids[0]], strict=True)
    return pairs


def _write_sizes(writer: gguf.GGUFWriter, context: int, vocabulary: int) -> None:
    writer.add_name("chain")
    writer.add_context_length(context)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(_WIDTH)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_rope_dimension_count(_WIDTH // 2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocabulary)


def _write_tokenizer(writer: gguf.GGUFWriter, tokens: list[str]) -> None:
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([control if token in SPECIAL else normal for token in tokens])
    writer.add_token_merges(["a b"])  # The library wants one; no token comes of it.
    writer.add_bos_token_id(START)
    writer.add_eos_token_id(END)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def _write_tensors(writer: gguf.GGUFWriter, embeddings: np.ndarray, output: np.ndarray) -> None:
    key = _WIDTH // 2
    shapes = {
        "attn_q": (_WIDTH, _WIDTH),
        "attn_k": (key, _WIDTH),
        "attn_v": (key, _WIDTH),
        "attn_output": (_WIDTH, _WIDTH),
        "ffn_gate": (_WIDTH, _WIDTH),
        "ffn_up": (_WIDTH, _WIDTH),
        "ffn_down": (_WIDTH, _WIDTH),
    }
    tensors = {"token_embd": embeddings, "output": output, "output_norm": np.ones(_WIDTH)}
    tensors |= {f"blk.0.{name}": np.zeros(shape) for name, shape in shapes.items()}
    tensors |= {f"blk.0.{name}": np.ones(_WIDTH) for name in ("attn_norm", "ffn_norm")}
    for name, tensor in tensors.items():
        writer.add_tensor(f"{name}.weight", tensor.astype(np.float32))
