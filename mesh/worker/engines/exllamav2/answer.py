"""One answer in the library's generator: what it is given, and what came of each step.

The truth is the generator's own sequence of ids. Its text is not looked at: it is held back, cut
and rewound for reasons that are not the worker's.
"""

import math
from collections.abc import Iterator, Sequence
from copy import copy
from typing import NamedTuple

import torch
from exllamav2.generator import ExLlamaV2DynamicJob
from tokenizers import Tokenizer

from mesh.protocol.frames import Odds
from mesh.worker.engines.base import EngineError, Finish, Job, Step
from mesh.worker.engines.exllamav2.folder import ModelFolder
from mesh.worker.engines.exllamav2.held import Held
from mesh.worker.engines.exllamav2.sampler import XTC_THRESHOLD, KeyedRandom, leave_out, settings
from mesh.worker.engines.exllamav2.text import Detokenizer, Said
from mesh.worker.engines.relay import Relay

_FINISH: dict[str, Finish] = {"stop_token": "stop", "max_new_tokens": "length"}


class Answer:
    """One job of the worker's, from its waiting to its end. Made and read by any thread, stepped
    by the driver's.

    ids: prompt and prefix; max_tokens: new ones, of which the generator is asked for `more`, as it
    ends too early, or looks at a last token no more; vocabulary: how many ids the model has; held:
    to its grammar, as far as the prefix goes.
    """

    def __init__(
        self,
        job: Job,
        relay: Relay,
        ids: Sequence[int],
        max_tokens: int,
        tokenizer: Tokenizer,
        folder: ModelFolder,
        vocabulary: int,
        more: int,
        held: Held | None = None,
    ) -> None:
        self.relay = relay
        self.held = held
        self.ids = tuple(ids)
        self.vocabulary = vocabulary
        self._job = job
        self._max_tokens = max_tokens
        self._end_ids = folder.end_ids
        self._more = more
        self._text = Detokenizer(tokenizer, folder.special_ids, ids, job.prefix_text)
        self._read = self._told = len(ids)
        self._end = len(ids) + max_tokens
        self._first = True

    def task(self) -> "Task":
        """The answer for a generator, from its beginning: one that failed can be tried anew."""
        return Task(self, self._job, self._max_tokens, self._more, self._end_ids)

    def advance(self, task: "Task", result: dict[str, object]) -> Iterator[Step]:
        """What a step of the generator means for the reader. Raises EngineError."""
        if task.fault:
            raise EngineError(task.fault)
        finish = self._finish(result)
        ids = task.ids(self._read, last=finish)[: self._end - self._read]
        self._read += len(ids)
        for said in filter(None, map(self._text.feed, ids)):
            yield self._step(task, said)
        if finish is not None:
            full = self._read == self._end
            yield self._step(task, self._text.finish(), "length" if full else finish)

    def _finish(self, result: dict[str, object]) -> Finish | None:
        if not result["eos"]:
            return None
        reason = str(result["eos_reason"])
        if reason not in _FINISH:
            raise EngineError(f"ExLlamaV2 ended the answer for no good reason: {reason}.")
        return _FINISH[reason]

    def _step(self, task: "Task", said: Said, finish: Finish | None = None) -> Step:
        odds = self._odds(task, len(said.ids))
        if not self._first:
            return Step(said.text, said.ids, finish, odds=odds)
        self._first = False
        prompt = len(self._job.prompt_ids)
        return Step(said.text, said.ids, finish, prompt, min(prompt, task.cached), odds)

    def _odds(self, task: "Task", count: int) -> Odds | None:
        """Of the next so many tokens together, if they are asked for."""
        found = [task.odds.pop(self._told + at) for at in range(count if task.odds else 0)]
        self._told += count
        if not found:
            return None
        top = tuple((self._text.name(token), odds) for token, odds in found[-1].top)
        return Odds(sum(each.chosen for each in found), top)


class TokenOdds(NamedTuple):
    """Natural logarithms: of the chosen token's probability, and of the likeliest ids'."""

    chosen: float
    top: list[tuple[int, float]]


class Task(ExLlamaV2DynamicJob):  # type: ignore[misc]
    """The library's job, with randomness of its own, and an eye on what the model gives.

    fault: why it cannot go on; `pages` are those that may hold broken values then; odds: of each
    token by its place in the whole sequence, where they are asked for.
    """

    def __init__(
        self, answer: Answer, job: Job, max_tokens: int, more: int, end_ids: frozenset[int]
    ) -> None:
        wanted, delivered = job.sampling, len(answer.ids) - len(job.prompt_ids)
        least = max_tokens if wanted.ignore_eos else max(0, wanted.min_tokens - delivered)
        super().__init__(
            input_ids=torch.tensor([answer.ids]),
            max_new_tokens=max_tokens + more,
            min_new_tokens=least,
            gen_settings=settings(wanted, answer.vocabulary),
            stop_conditions=sorted(end_ids),
            banned_strings=list(wanted.banned_strings),
        )
        self.answer = answer
        self.fault = ""
        self.pages: list[object] = []
        self._sequence = self.sequences[0]
        self._before = len(job.prompt_ids)
        self.rng = KeyedRandom(job.seed, self._sequence.sequence_ids, self._before)
        self._logprobs = wanted.logprobs
        self.odds: dict[int, TokenOdds] = {}
        threshold = wanted.xtc_threshold
        self._xtc = wanted.xtc_probability or 0.0, XTC_THRESHOLD if threshold is None else threshold
        self._held = copy(answer.held)

    @property
    def cached(self) -> int:
        """Tokens whose keys and values were there already."""
        pages: int = self.cached_pages * self.generator.page_size
        return pages + int(self.cached_tokens)

    def ids(self, start: int, last: Finish | None) -> list[int]:
        """The new ids from `start` on that are certain, without the one that ended the answer.

        That one may be there before it is said to be the end: a step with drafts adds several
        tokens, and has a result for each. Those that may yet become a banned string, and so be
        taken back, are not certain.
        """
        end = len(self._sequence.sequence_ids)
        if self.checkpoint is not None and last is None:
            end -= self.checkpoint["offset"]
        ids: list[int] = self._sequence.sequence_ids.torch_slice(start, end)[0].tolist()
        return ids[:-1] if ids and ids[-1] in self.stop_tokens else ids

    def receive_logits(self, logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The library's hook: choose a token. logits: (1, 1, vocabulary), changed in place."""
        if not math.isfinite(float(logits.max())):
            self.fault = "The model gave no numbers (NaN) for this text."
            self.pages = list(self._sequence.allocated_pages)
            logits.zero_()
        place, likely = len(self._sequence.sequence_ids), self._likely(logits)
        if self._held is not None and not self._held.restrict(logits):
            self.fault = "No token of this model goes on in the format that was asked for."
        probability, threshold = self._xtc
        if self.rng.random("xtc") < probability:
            leave_out(logits, threshold, self.stop_tokens_list)
        answered = len(self._sequence.sequence_ids) - self._before
        self.gen_settings.token_repetition_range = max(0, answered)
        if self.checkpoint is not None:  # what DRY has counted may have been taken back
            self.gen_settings.ngram_trie = None
        chosen: tuple[torch.Tensor, ...] = super().receive_logits(logits)
        if self._held is not None:
            self._held.take(int(chosen[0].item()))
        if likely is not None:
            top = likely.topk(self._logprobs or 0)
            pairs = list(zip(top.indices.tolist(), top.values.tolist(), strict=True))
            self.odds[place] = TokenOdds(float(likely[chosen[0].item()]), pairs)
        return chosen

    def _likely(self, logits: torch.Tensor) -> torch.Tensor | None:
        """The model's own logarithms, before penalties and temperature, if they are asked for."""
        if self._logprobs is None:
            return None
        likely: torch.Tensor = logits.view(-1).log_softmax(-1)
        return likely
