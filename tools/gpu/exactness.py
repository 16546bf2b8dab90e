"""Greedy answers of the engine beside those of llama.cpp and transformers on the same weights."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mesh.protocol.request import Message, Request, Sampling
from mesh.settings import WorkerSettings
from mesh.worker.engines.base import Engine, Job, Step
from mesh.worker.engines.choose import load
from mesh.worker.prompt import PromptBuilder

PROMPTS = (
    "Hello! Who are you?",
    "Tell me a story about a fox and a lake.",
    "What is 3 plus 4?",
    "Say the letters of the alphabet.",
    "What is the capital of France?",
    "My name is Ada. What is my name?",
    "Write a short letter to a friend.",
    "Count from one to ten.",
)
TOKENS = 64

Ids = tuple[int, ...]


class Agreement(NamedTuple):
    """With whom; tokens equal before the first difference, and all, over all prompts."""

    other: str
    answers: int
    equal_answers: int
    equal_tokens: int
    tokens: int


def compare(folder: Path, gguf: Path, prompts: Sequence[str] = PROMPTS) -> list[Agreement]:
    """Hold the engine to the others. transformers is left out where it is not installed."""
    asked, ours = asyncio.run(_answers(folder, "exllamav2", prompts))
    _, theirs = asyncio.run(_answers(gguf, "llamacpp", prompts))
    found = [_agreement("llama.cpp", ours, theirs)]
    try:
        reference = _transformers(folder, asked)
    except ModuleNotFoundError:
        return found
    return [*found, _agreement("transformers", ours, reference)]


async def _answers(model: Path, kind: str, prompts: Sequence[str]) -> tuple[list[Ids], list[Ids]]:
    """The prompts and the answers, as ids."""
    engine = await load(WorkerSettings(engine=kind, model=str(model), slots=4))
    try:
        jobs = [_job(engine, prompt) for prompt in prompts]
        return [job.prompt_ids for job in jobs], [await _ids(engine, job) for job in jobs]
    finally:
        await engine.close()


def _job(engine: Engine, prompt: str) -> Job:
    request = Request(
        rid="",
        reply="",
        tenant="",
        model="",
        messages=(Message(role="user", content=prompt),),
        max_tokens=TOKENS,
        created=0.0,
        deadline=0.0,
    )
    built = PromptBuilder(engine).build(request)
    return Job(
        rid="",
        messages=built.messages,
        prompt=built.text,
        prompt_ids=built.ids,
        sampling=Sampling(temperature=0),
        max_tokens=built.max_tokens,
        seed=1,
    )


class _Said:
    """A reader. spoken: of the ids, so many up to the last that made text."""

    full = False

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.spoken = 0

    def hear(self, step: Step) -> bool:
        self.ids += step.ids or ()
        if step.text:
            self.spoken = len(self.ids)
        return True


async def _ids(engine: Engine, job: Job) -> Ids:
    """The ids up to the last that made text: not every engine tells the end's."""
    said = _Said()
    await engine.generate(job, said)
    return tuple(said.ids[: said.spoken])


def _transformers(folder: Path, prompts: list[Ids]) -> list[Ids]:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float16).cuda().eval()
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    answers = []
    for prompt in prompts:
        ids = torch.tensor([prompt], device="cuda")
        said = model.generate(ids, max_new_tokens=TOKENS, do_sample=False)[0, len(prompt) :]
        answers.append(tuple(token for token in said.tolist() if token not in ends))
    return answers


def _agreement(other: str, ours: list[Ids], theirs: list[Ids]) -> Agreement:
    pairs = list(zip(ours, theirs, strict=True))
    same = [_common(mine, other_s) for mine, other_s in pairs]
    tokens = sum(max(map(len, pair)) for pair in pairs)
    equal = sum(mine == other_s for mine, other_s in pairs)
    return Agreement(other, len(pairs), equal, sum(same), tokens)


def _common(one: Ids, other: Ids) -> int:
    """How many leading ids are the same."""
    count = 0
    for mine, its in zip(one, other, strict=False):
        if mine != its:
            break
        count += 1
    return count
