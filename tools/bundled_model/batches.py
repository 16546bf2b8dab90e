"""Conversations as rows of token ids: encoded, packed, with the model's own words marked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor

from tools.bundled_model.corpus import conversation
from tools.bundled_model.tokenizer import END, START


@dataclass(frozen=True)
class Batch:
    """Packed rows, each tensor [rows, length]."""

    ids: Tensor
    """What the model reads."""
    targets: Tensor
    """The token that follows each one; -100 where it is not the model that speaks."""
    chats: Tensor
    """The number, within its row, of the chat that each token belongs to."""


class Packer:
    """Makes the batch of any step from the seed alone, so that a stopped training resumes exactly."""

    def __init__(self, tokenizer: Path, seed: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._seed = seed
        self._start = self._tokenizer.token_to_id(START)
        self._end = self._tokenizer.token_to_id(END)
        self._newline = self._encode("\n")

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def chat(self, rng: Random, most: int) -> tuple[list[int], list[bool]]:
        """The ids of a new chat, and which of them the model has to say."""
        system, turns = conversation(rng, most)
        messages = [("system", system)] if system else []
        for turn in turns:
            messages += [("user", turn.user), ("assistant", turn.answer)]
        ids: list[int] = []
        said: list[bool] = []
        for role, text in messages:
            head = [self._start, *self._encode(f"{role}\n")]
            body = [*self._encode(text), self._end]
            ids += head + body + self._newline
            said += [False] * len(head) + [role == "assistant"] * len(body)
            said += [False] * len(self._newline)
        return ids, said

    def batch(self, step: int, rows: int, length: int, most: int) -> Batch:
        """Rows of `length` tokens full of chats of about `most` turns; the last one may be cut."""
        rng = Random(f"{self._seed}:{step}")
        packed: list[tuple[list[int], list[bool], list[int]]] = []
        for _ in range(rows):
            ids: list[int] = []
            said: list[bool] = []
            chats: list[int] = []
            while len(ids) <= length:
                more, spoken = self.chat(rng, most)
                chats += [chats[-1] + 1 if chats else 0] * len(more)
                ids += more
                said += spoken
            packed.append((ids[: length + 1], said[: length + 1], chats[:length]))
        tokens = torch.tensor([row[0] for row in packed])
        spoken_by_model = torch.tensor([row[1] for row in packed])
        return Batch(
            ids=tokens[:, :-1],
            targets=torch.where(spoken_by_model, tokens, -100)[:, 1:],
            chats=torch.tensor([row[2] for row in packed]),
        )
