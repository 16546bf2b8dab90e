"""kill -9 of a GPU worker in mid-answer: how long its reader waits, whether the answer holds."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from typing import NamedTuple

import httpx

from benchmarks.subjects import STORY
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import Stored
from mesh.protocol import subjects
from tools.gpu.subjects import Mesh, Worker


class TakeOver(NamedTuple):
    """gap: seconds between the last token before the kill and the first one after it; first_token:
    of an unbroken answer, in seconds, prefill included; exact: equal to the unbroken answer."""

    tokens: int
    killed_after: int
    gap: float
    first_token: float
    exact: bool


class Read(NamedTuple):
    texts: list[str]
    at: list[float]


def take_over(mesh: Mesh, tokens: int) -> TakeOver:
    """Ask twice, the second time with a kill of whoever writes, after a third of the answer."""
    began = time.perf_counter()
    whole = _read(mesh.url, tokens)
    first = whole.at[0] - began
    killed_after = len(whole.texts) // 3
    broken = Read([], [])
    for text in _tokens(mesh.url, tokens):
        broken.texts.append(text)
        broken.at.append(time.perf_counter())
        if len(broken.texts) == 1:
            holder = _holder(mesh)
        if len(broken.texts) == killed_after:
            holder.process.send_signal(signal.SIGKILL)
    gaps = [after - before for before, after in zip(broken.at, broken.at[1:], strict=False)]
    exact = broken.texts == whole.texts
    return TakeOver(len(whole.texts), killed_after, max(gaps), first, exact)


def _read(url: str, tokens: int) -> Read:
    read = Read([], [])
    for text in _tokens(url, tokens):
        read.texts.append(text)
        read.at.append(time.perf_counter())
    return read


def _tokens(url: str, tokens: int) -> Iterator[str]:
    body = {
        "messages": [{"role": "user", "content": STORY}],
        "max_tokens": tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
    }
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=600) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            if line.startswith("data: {"):
                chunk = json.loads(line.removeprefix("data: "))
                if "error" in chunk:
                    raise RuntimeError(chunk["error"]["message"])
                for choice in chunk.get("choices", ()):
                    if choice["delta"].get("content"):
                        yield choice["delta"]["content"]


def _holder(mesh: Mesh) -> Worker:
    """The worker that writes: whose claim the log ends with.

    The list of workers tells it too, but up to two seconds late.
    """
    last = asyncio.run(_last_event(mesh))
    writer = last and subjects.parse_run(last.subject).writer.user
    for worker in mesh.workers:
        if worker.name == writer:
            return worker
    raise RuntimeError(f"the last event of the log is {writer}'s, who is no worker")


async def _last_event(mesh: Mesh) -> Stored | None:
    """Over a connection of its own: one kept meanwhile would not answer the broker's pings."""
    bus = await Bus.connect([mesh.broker], *mesh.operator)
    try:
        return await JetStream(bus).last(subjects.RUN_STREAM, subjects.RUN_EVENTS)
    finally:
        await bus.close()
