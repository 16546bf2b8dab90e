"""An engine called directly, in a process of its own: what it does without any mesh around it.

`python -m benchmarks.direct ENGINE PROMPT TOKENS` loads it with the worker's settings from the
environment, then reads lines `STREAMS SECONDS` from stdin and answers each with a line of JSON.
"""

import asyncio
import sys
from statistics import median
from time import perf_counter

import msgspec
import uvloop
from msgspec import Struct

from mesh.cli.serving import spare_the_collector
from mesh.protocol.request import Message, Request, Sampling
from mesh.settings import WorkerSettings, read
from mesh.worker.engines.base import Engine, Job, Step
from mesh.worker.engines.choose import load
from mesh.worker.prompt import PromptBuilder


class Direct(Struct, frozen=True):
    """One load. first_token_ms: the median time from the question to the first token."""

    tokens: int
    seconds: float
    first_token_ms: float

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds


class Counting:
    """A reader that counts. first: when it heard its first step, by the clock of `asked`."""

    full = False

    def __init__(self) -> None:
        self.asked, self.first = perf_counter(), 0.0
        self.tokens = 0

    def hear(self, step: Step) -> bool:
        self.first = self.first or perf_counter()
        self.tokens += bool(step.text)
        return True


class Load:
    """Asks one engine the same question, from as many streams as it is told."""

    def __init__(self, engine: Engine, prompt: str, tokens: int) -> None:
        self._engine = engine
        self._prompts = PromptBuilder(engine)
        self._request = Request(
            rid="",
            reply="",
            tenant="",
            model=engine.info.model,
            messages=(Message(role="user", content=prompt),),
            sampling=Sampling(temperature=0, ignore_eos=True),
            max_tokens=tokens,
            created=0.0,
            deadline=0.0,
        )
        self._tokens = 0
        self._waits: list[float] = []

    async def run(self, streams: int, seconds: float) -> Direct:
        self._tokens, self._waits = 0, []
        begun = perf_counter()
        asking = (self._keep_asking(begun + seconds) for _ in range(streams))
        await asyncio.gather(*asking)
        return Direct(self._tokens, perf_counter() - begun, 1e3 * median(self._waits))

    async def _keep_asking(self, until: float) -> None:
        while True:
            await self._ask()
            if perf_counter() >= until:
                return

    async def _ask(self) -> None:
        counting = Counting()
        await self._engine.generate(self._job(), counting)
        self._tokens += counting.tokens
        self._waits.append(counting.first - counting.asked)

    def _job(self) -> Job:
        """As a worker makes it: the prompt is rendered and encoded for each answer."""
        built = self._prompts.build(self._request)
        return Job(
            rid="",
            messages=built.messages,
            prompt=built.text,
            prompt_ids=built.ids,
            sampling=self._request.sampling,
            max_tokens=built.max_tokens,
            seed=1,
        )


async def serve(settings: WorkerSettings, prompt: str, tokens: int) -> None:
    """Answer loads until stdin ends."""
    engine = await load(settings)
    try:
        asked = Load(engine, prompt, tokens)
        while line := await asyncio.to_thread(sys.stdin.readline):
            streams, seconds = line.split()
            found = await asked.run(int(streams), float(seconds))
            sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
            sys.stdout.flush()
    finally:
        await engine.close()


if __name__ == "__main__":
    spare_the_collector()
    engine, prompt, tokens = sys.argv[1:]
    uvloop.run(serve(read(WorkerSettings, {"engine": engine}), prompt, int(tokens)))
