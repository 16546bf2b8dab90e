"""Who asks to stop, or hangs up, is heard: soon, and whatever befalls the worker meanwhile."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import httpx
import pytest

from mesh.protocol.events import Cancelled
from tests.acceptance.conftest import Process, Processes
from tests.acceptance.reading import SLOW, WORDS
from tests.chaos.story import settle
from tests.chaos.times import spread
from tests.chaos.wires import Wire
from tests.chatting import ask, events, get_message, new_chat, ok
from tests.truth import read_truth

LONG = f"/repeat {WORDS}"
SOON = 0.2
"""Seconds at the median until a slot is free; 50 ms are promised, on a machine that has time."""

HEARD = 1.0
"""Seconds within which a hung-up client frees its slot."""


@dataclass
class Asked:
    """An answer that is being written, its chat, and its workers."""

    http: httpx.AsyncClient
    chat: str
    message: str
    workers: dict[str, Process]
    processes: Processes

    async def holder(self) -> Process:
        truth = await read_truth(self.processes.broker)
        return self.workers[truth.claims[self.message][-1]]

    async def stop(self) -> Any:
        return ok(await self.http.post(f"/chats/{self.chat}/messages/{self.message}/cancel"))


@pytest.fixture
async def http(processes: Processes) -> AsyncIterator[httpx.AsyncClient]:
    """Signed in at a gateway with a store and an impatient queue."""
    processes.gateway("--ack-wait", "2")
    processes.store()
    processes.await_store()
    async with httpx.AsyncClient(base_url=processes.url, timeout=30.0) as http:
        login = ok(await http.get("/auth/callback/debug", params={"code": "ada"}))
        http.headers["Authorization"] = f"Bearer {login['access_token']['access_token']}"
        yield http


@pytest.fixture
async def asked(processes: Processes, http: httpx.AsyncClient) -> Asked:
    flags = (*SLOW, "--grace", "0")
    workers = {name: processes.worker(name, *flags) for name in ("w1", "w2")}
    await asyncio.to_thread(processes.await_workers, 2)
    chat = await new_chat(http)
    long: Any = {"sampling_parameters": {"max_new_tokens": 4000}}
    message = (await ask(http, chat, LONG, **long))["assistant_message"]["id"]
    await events(http, chat, message, most=20)
    return Asked(http, chat, message, workers, processes)


def paused(worker: Process) -> None:
    worker.send(signal.SIGSTOP)


def killed(worker: Process) -> None:
    worker.popen.kill()


def replaced(worker: Process) -> None:
    """It hands its answer over, for it has no grace."""
    worker.send(signal.SIGTERM)


@pytest.mark.parametrize("befall", [paused, killed, replaced])
async def test_what_is_stopped_while_its_worker_is_gone_ends_as_cancelled_once(
    asked: Asked, befall: Callable[[Process], None]
) -> None:
    holder = await asked.holder()
    befall(holder)
    stopped = await asked.stop()
    assert (stopped["cancelled"], stopped["state"]) == (True, "cancelled")
    holder.send(signal.SIGCONT)
    await asyncio.sleep(1.0)  # in which it might write another end
    truth = await read_truth(asked.processes.broker)
    truth.check()
    run = truth.runs[asked.message]
    assert isinstance(run.end, Cancelled) and run.end.seal is not None
    assert run.end.usage.completion_tokens == len(run.texts) == stopped["tokens"] >= 20
    kept = await get_message(asked.http, asked.chat, asked.message)
    assert (kept["state"], kept["content"]) == ("cancelled", run.text)


async def test_what_is_stopped_while_its_worker_is_cut_off_stops_when_it_is_back(
    processes: Processes, http: httpx.AsyncClient
) -> None:
    """For less long than the queue is patient, so that nobody else takes it over."""
    wire = Wire(processes.broker.port)
    await wire.start()
    try:
        processes.worker("w1", *SLOW, "--nats", f"nats://127.0.0.1:{wire.port}")
        await asyncio.to_thread(processes.await_workers, 1)
        chat = await new_chat(http)
        long: Any = {"sampling_parameters": {"max_new_tokens": 4000}}
        message = (await ask(http, chat, LONG, **long))["assistant_message"]["id"]
        await events(http, chat, message, most=20)
        wire.broken = True
        wire.cut()
        stopping = asyncio.create_task(http.post(f"/chats/{chat}/messages/{message}/cancel"))
        await asyncio.sleep(0.5)
        wire.broken = False
        assert ok(await stopping)["state"] == "cancelled"
    finally:
        await wire.close()


async def test_a_stopped_answer_frees_its_slot_at_once(
    processes: Processes, http: httpx.AsyncClient
) -> None:
    """There is one slot: each answer begins when the one before has left it."""
    processes.worker("w1", "--slots", "1", *SLOW)
    await asyncio.to_thread(processes.await_workers, 1)
    took = list[float]()
    for _ in range(15):
        chat = await new_chat(http)
        message = (await ask(http, chat, LONG))["assistant_message"]["id"]
        await events(http, chat, message, most=5)
        began = time.monotonic()
        assert ok(await http.post(f"/chats/{chat}/messages/{message}/cancel"))["cancelled"]
        took.append(time.monotonic() - began)
    print(f"\n  from asking to stop to the word that it is: {spread(took)}")
    assert median(took) < SOON


async def test_who_hangs_up_frees_a_slot_within_a_second(processes: Processes) -> None:
    processes.gateway()
    processes.worker("w1", "--slots", "1", *SLOW)
    await asyncio.to_thread(processes.await_workers, 1)
    left = []
    async with httpx.AsyncClient(base_url=processes.url, timeout=30.0) as http:
        for number in range(10):
            body = {"prompt": f"/repeat #{number} {WORDS}", "params": {"max_tokens": 4000}}
            async with http.stream("POST", "/generate", json=body) as response:
                await anext(response.aiter_lines())
            left.append(time.time())
    stories = await settle(processes.broker, 20.0)
    took = [max(0.0, story.ended - left[story.number]) for story in stories]
    print(f"\n  from hanging up to the end: {spread(took)}")
    assert len(took) == len(left) and max(took) < HEARD


async def test_who_asks_to_stop_while_the_broker_is_away_is_told_and_heard_in_the_end(
    asked: Asked,
) -> None:
    broker = asked.processes.broker
    await asyncio.to_thread(broker.kill)
    url = f"/chats/{asked.chat}/messages/{asked.message}/cancel"
    answer = await asked.http.post(url, timeout=60.0)
    assert answer.status_code == 503 and answer.headers["retry-after"], answer.text
    await asyncio.to_thread(broker.start)
    stories = await settle(broker, 60)
    assert [type(story.run.end) for story in stories] == [Cancelled]
