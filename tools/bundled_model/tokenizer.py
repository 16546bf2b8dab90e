"""The tokenizer: byte-level BPE with single digits, the same for Hugging Face and for llama.cpp.

llama.cpp knows this way of cutting text as `smollm`: first every digit by itself, then the words
of GPT-2. The chat format is ChatML.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from tools.bundled_model.corpus import conversation

PRE_TOKENIZER = "smollm"
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END_OF_TEXT, START, END)
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tokenizer_json(tokens: Sequence[str], merges: Sequence[str]) -> dict[str, Any]:
    """The content of a `tokenizer.json`; the first tokens are the special ones.

    A merge is two tokens with a space between, as GGUF stores it.
    """
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": index, "content": text, **added, "special": True}
            for index, text in enumerate(SPECIAL)
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {**byte_level, "use_regex": True},
            ],
        },
        "post_processor": None,
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in merges],
        },
    }


def tokens_and_merges(path: Path) -> tuple[list[str], list[str]]:
    """Read back from a `tokenizer.json` what GGUF wants: tokens by id, and merges."""
    model = json.loads(path.read_text(encoding="utf-8"))["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return tokens, [" ".join(merge) for merge in model["merges"]]


def train(path: Path, vocab: int, chats: int, seed: int) -> None:
    """Learn `vocab` tokens from `chats` made-up conversations and write a `tokenizer.json`."""
    from tokenizers import Tokenizer, trainers

    def texts() -> Any:
        for index in range(chats):
            system, turns = conversation(Random(f"{seed}:tokenizer:{index}"))
            said = (f"user\n{turn.user}\nassistant\n{turn.answer}" for turn in turns)
            yield "\n".join([f"system\n{system}", *said])

    blank = Tokenizer.from_str(json.dumps(tokenizer_json(SPECIAL, ())))
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=list(SPECIAL),
        initial_alphabet=byte_alphabet(),
        show_progress=False,
    )
    blank.train_from_iterator(texts(), trainer)
    path.parent.mkdir(parents=True, exist_ok=True)
    blank.save(str(path))
    learnt = tokenizer_json(*tokens_and_merges(path))
    path.write_text(json.dumps(learnt, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def byte_alphabet() -> list[str]:
    """The 256 printable characters that stand for the bytes, so that no text is unknown."""
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bundled_model/tokenizer.json"))
    parser.add_argument("--vocab", type=int, default=1024, help="number of tokens")
    parser.add_argument("--chats", type=int, default=30_000, help="conversations to learn from")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    train(arguments.out, arguments.vocab, arguments.chats, arguments.seed)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
