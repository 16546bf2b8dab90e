"""The library's own generator in a bare loop: what no mesh around it can be faster than.

`python -m tools.gpu.bare PROMPT TOKENS` loads the model as the worker does, with its settings
from the environment, then reads lines `STREAMS SECONDS` from stdin and answers each with a line of
JSON, as `benchmarks.direct` does for the engine. With STANDIN set it runs without a GPU.
"""

import os
import sys
from collections import Counter
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import msgspec

from benchmarks.direct import Direct
from mesh.protocol.request import Message
from mesh.settings import WorkerSettings, read
from mesh.worker.prompt import ChatTemplate


class Loop:
    """Keeps so many jobs in a generator, as a program without a server would."""

    def __init__(self, generator: Any, ids: list[int], tokens: int, end_ids: list[int]) -> None:
        self._generator = generator
        self._ids = ids
        self._tokens = tokens
        self._end_ids = end_ids

    def run(self, streams: int, seconds: float) -> Direct:
        waits: list[float] = []
        tokens: Counter[Any] = Counter()
        begun = perf_counter()
        asked = {self._ask(): perf_counter() for _ in range(streams)}
        while asked:
            for result in self._generator.iterate():
                if result["stage"] != "streaming":
                    continue
                job = result["job"]
                if not tokens[job]:
                    waits.append(perf_counter() - asked[job])
                tokens[job] += 1
                if result["eos"]:
                    del asked[job]
                    if perf_counter() < begun + seconds:
                        asked[self._ask()] = perf_counter()
        return Direct(tokens.total(), perf_counter() - begun, 1e3 * median(waits))

    def _ask(self) -> Any:
        import torch
        from exllamav2.generator import ExLlamaV2DynamicJob, ExLlamaV2Sampler

        job = ExLlamaV2DynamicJob(
            input_ids=torch.tensor([self._ids]),
            max_new_tokens=self._tokens,
            min_new_tokens=self._tokens,
            gen_settings=ExLlamaV2Sampler.Settings.greedy(),
            stop_conditions=self._end_ids,
            seed=1,
        )
        self._generator.enqueue(job)
        return job


def make(settings: WorkerSettings, prompt: str, tokens: int) -> Loop:
    """Load the model with the worker's own code, and nothing else of the worker."""
    from mesh.worker.engines.exllamav2 import hardware
    from mesh.worker.engines.exllamav2.folder import read_folder
    from mesh.worker.engines.exllamav2.plan import make_plan

    folder = read_folder(Path(settings.model))
    plan = make_plan(folder, settings, hardware.devices())
    hardware.import_library()
    from mesh.worker.engines.exllamav2.loading import load

    loaded = load(plan, settings)
    template = ChatTemplate(folder.chat_template or "", folder.bos_token, folder.eos_token)
    text = template.render([Message(role="user", content=prompt)])
    ids = loaded.tokenizer.encode(text, add_special_tokens=False).ids
    return Loop(loaded.make_generator(), ids, tokens, sorted(folder.end_ids))


def main() -> None:
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # The library prints, and stdout is for the figures.
    if os.environ.get("STANDIN"):
        from tests.worker.exl2 import standin

        standin.install()
    prompt, tokens = sys.argv[1:]
    loop = make(read(WorkerSettings, {}), prompt, int(tokens))
    for line in sys.stdin:
        streams, seconds = line.split()
        out.write(msgspec.json.encode(loop.run(int(streams), float(seconds))) + b"\n")
        out.flush()


if __name__ == "__main__":
    main()
