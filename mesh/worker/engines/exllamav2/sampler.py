"""How the next token is chosen: the request's sampling in the library's terms, and its randomness.

Whoever takes an answer over has to choose as the one before would have. So the random number of a
token depends on the answer's seed and the token's place in the answer alone, and penalties look at
the whole answer, whoever wrote it, and never at the prompt.
"""

from collections.abc import Mapping, Sequence, Sized
from hashlib import blake2b
from typing import TypeVar

import torch
from exllamav2.generator import ExLlamaV2Sampler
from torch import Tensor

from mesh.protocol.request import Sampling

N = TypeVar("N", int, float)

TEMPERATURE, TOP_K, TOP_P, MIN_P, XTC_THRESHOLD = 0.8, 40, 0.95, 0.05, 0.1
"""What a request does not set: llama.cpp's defaults, so that a model sounds the same on both."""
LEAST = 1e-6
"""The least top_p: of 0 the library would make all tokens, where one is asked for."""
LEAST_PENALTY = 0.01
"""The least penalty: it is divided by, and what is infinite has no probability."""


def settings(sampling: Sampling, vocabulary: int) -> ExLlamaV2Sampler.Settings:
    """The library's settings, which keep state: make new ones for each answer.

    Its XTC is left alone, as it reads the probability of the wrong token; see `leave_out`.
    """
    return ExLlamaV2Sampler.Settings(
        temperature=_or(sampling.temperature, TEMPERATURE),
        top_k=min(_or(sampling.top_k, TOP_K), vocabulary),
        top_p=max(_or(sampling.top_p, TOP_P), LEAST),
        min_p=_or(sampling.min_p, MIN_P),
        typical=_or(sampling.typical_p, 0.0),
        token_repetition_penalty=max(_or(sampling.repetition_penalty, 1.0), LEAST_PENALTY),
        token_presence_penalty=_or(sampling.presence_penalty, 0.0),
        token_frequency_penalty=_or(sampling.frequency_penalty, 0.0),
        token_bias=_bias(sampling.logit_bias, vocabulary),
        dry_multiplier=_or(sampling.dry_multiplier, 0.0),
        dry_base=_or(sampling.dry_base, 1.75),
        dry_allowed_length=_or(sampling.dry_allowed_length, 2),
    )


def leave_out(logits: Tensor, threshold: float, kept: Sequence[int]) -> None:
    """XTC: of all tokens as likely as `threshold`, or more, leave the least likely only.

    logits: (1, 1, vocabulary), changed in place; kept: ids that are never left out.
    """
    row = logits.view(-1)
    probabilities = row.softmax(-1)
    likely = probabilities >= threshold
    likely[list(kept)] = False
    if int(likely.sum()) > 1:
        least = torch.where(likely, probabilities, 2.0).argmin()
        likely[least] = False
        row[likely] = float("-inf")


def _bias(given: Mapping[int, float], vocabulary: int) -> Tensor | None:
    """Of the vocabulary's length, padded as the library pads it."""
    if not given:
        return None
    bias = torch.zeros(-(-vocabulary // 32) * 32)
    bias[list(given)] = torch.tensor(list(given.values()))
    return bias


class KeyedRandom:
    """Stands in for `random.Random`: one number in [0, 1) for each seed and length of `sequence`.

    before: the sequence's length when the answer's first token is chosen.
    """

    def __init__(self, seed: int, sequence: Sized, before: int) -> None:
        self._seed = seed
        self._sequence = sequence
        self._before = before

    def random(self, use: str = "") -> float:
        """use: what for, where one place needs several."""
        place = len(self._sequence) - self._before
        digest = blake2b(f"{self._seed}:{place}:{use}".encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "little") >> 11) / (1 << 53)


def _or(given: N | None, default: N) -> N:
    return default if given is None else given
