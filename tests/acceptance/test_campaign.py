"""A short fault campaign: workers killed and paused, the broker killed, while many ask at once."""

import asyncio
import json
import os
import random
import signal
from typing import Any

import httpx

from tests.acceptance.conftest import Process, Processes
from tests.truth import read_truth

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa "
TOKENS = 80
REQUESTS = int(os.environ.get("MESH_CAMPAIGN_REQUESTS", "120"))
AT_ONCE = 16


async def ask(client: httpx.AsyncClient, url: str) -> list[str]:
    """One request's tokens; fails unless it ends as it should."""
    body = {"prompt": f"/repeat {WORDS}", "params": {"max_tokens": TOKENS}}
    texts: list[str] = []
    last: dict[str, Any] = {}
    async with client.stream("POST", f"{url}/generate", json=body) as response:
        assert response.status_code == 200, await response.aread()
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                last = json.loads(line.removeprefix("data: "))
                if "token" in last:
                    assert last["index"] == len(texts)
                    texts.append(last["token"])
    assert last == {"done": True, "total_tokens": TOKENS}, last
    return texts


async def asker(client: httpx.AsyncClient, url: str, left: list[int], texts: list[str]) -> None:
    while left:
        left.pop()
        texts.append("".join(await ask(client, url)))


async def chaos(processes: Processes, workers: list[Process], rng: random.Random) -> None:
    """Kill and pause workers at random, and the broker twice, until cancelled."""
    for turn in range(10_000):
        await asyncio.sleep(rng.uniform(0.3, 0.8))
        worker = rng.choice(workers)
        if turn in (4, 12):
            await asyncio.to_thread(processes.broker.kill)
            await asyncio.to_thread(processes.broker.start)
        elif rng.random() < 0.6:
            await asyncio.to_thread(worker.kill)
            worker.start()
        else:
            worker.send(signal.SIGSTOP)
            await asyncio.sleep(rng.uniform(0.5, 3.0))
            worker.send(signal.SIGCONT)


async def test_no_answer_is_lost_whatever_dies(processes: Processes) -> None:
    await asyncio.to_thread(processes.gateway, "--ack-wait", "2")
    workers = [processes.worker(f"w{k}", "--echo-rate", "40", "--slots", "8") for k in range(3)]
    await asyncio.to_thread(processes.await_workers, 3)
    rng = random.Random(7)
    left, texts = list(range(REQUESTS)), list[str]()
    faults = asyncio.create_task(chaos(processes, workers, rng))
    async with httpx.AsyncClient(timeout=60) as client, asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(asker(client, processes.url, left, texts))
    faults.cancel()
    words = WORDS.split()
    whole = "".join(f"{words[k % len(words)]} " for k in range(TOKENS))
    assert texts == [whole] * REQUESTS
    truth = await read_truth(processes.broker)
    truth.check()
    assert len(truth.runs) == REQUESTS
    assert {run.text for run in truth.runs.values()} == {whole}
    assert max(len(claims) for claims in truth.claims.values()) > 1, "nothing was taken over"
