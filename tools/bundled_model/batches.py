"""Conversations as rows of token ids: encoded, packed, with the model's own words marked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor

from tools.bundled_model.corpus import conversation
from tools.bundled_model.tokenizer import END, SPECIAL, START


@dataclass(frozen=True)
class Batch:
    """Packed rows, each tensor [rows, length]."""

    ids: Tensor
    """What the model reads."""
    targets: Tensor
    """The token that follows each one."""
    weights: Tensor
    """What the prediction of each target counts: 0 where it is not the model that speaks, else
    less in a long answer than in a short one, lest the stories drown the sums."""
    chats: Tensor
    """The number, within its row, of the chat that each token belongs to."""


class Packer:
    """Makes the batch of any step from the seed alone: a stopped training resumes exactly."""

    def __init__(self, tokenizer: Path, seed: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._seed = seed
        self._start, self._end = SPECIAL.index(START), SPECIAL.index(END)
        self._newline = self._encode("\n")

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def chat(self, rng: Random, most: int) -> tuple[list[int], list[float]]:
        """The ids of a new chat, and what it counts to predict each of them."""
        system, turns = conversation(rng, most)
        messages = [("system", system)] if system else []
        for turn in turns:
            messages += [("user", turn.user), ("assistant", turn.answer)]
        ids: list[int] = []
        weights: list[float] = []
        for role, text in messages:
            head = [self._start, *self._encode(f"{role}\n")]
            body = [*self._encode(text), self._end]
            ids += head + body + self._newline
            weight = len(body) ** -0.5 if role == "assistant" else 0.0
            weights += [0.0] * len(head) + [weight] * len(body) + [0.0] * len(self._newline)
        return ids, weights

    def batch(self, step: int, rows: int, length: int, most: int) -> Batch:
        """Rows of `length` tokens full of chats of about `most` turns; the last one may be cut."""
        rng = Random(f"{self._seed}:{step}")
        all_ids, all_weights, all_chats = [], [], []
        for _ in range(rows):
            ids: list[int] = []
            weights: list[float] = []
            chats: list[int] = []
            while len(ids) <= length:
                more, counted = self.chat(rng, most)
                chats += [chats[-1] + 1 if chats else 0] * len(more)
                ids += more
                weights += counted
            all_ids.append(ids[: length + 1])
            all_weights.append(weights[1 : length + 1])
            all_chats.append(chats[:length])
        tokens = torch.tensor(all_ids)
        return Batch(
            ids=tokens[:, :-1],
            targets=tokens[:, 1:],
            weights=torch.tensor(all_weights),
            chats=torch.tensor(all_chats),
        )
