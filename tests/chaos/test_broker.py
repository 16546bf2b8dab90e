"""The broker restarted, its queue full, its disk full: streams pause, go on, and lose nothing."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.acceptance.conftest import Processes, until
from tests.acceptance.reading import WORDS, Reading, said
from tests.chaos.small_disk import SmallDisk, small_disk
from tests.chaos.times import spread
from tests.chaos.web import Response, send
from tests.conftest import Broker
from tests.truth import truth_of

AWAY = 1.0
"""Seconds that the broker is dead."""

SOON = 3.0
"""Seconds within which streams have to go on, as is promised."""


@dataclass
class Stream:
    """An answer being read. heard: when each of its tokens came."""

    texts: list[str] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)
    ended: bool = False

    async def read(self, url: str, tokens: int) -> None:
        body = {"prompt": f"/repeat {WORDS}", "params": {"max_tokens": tokens}}
        async with send("POST", f"{url}/generate", body) as response:
            async for _, event in response.events():
                if "token" in event:
                    self.texts.append(event["token"])
                    self.heard.append(time.monotonic())
                self.ended = self.ended or "done" in event

    def next_after(self, moment: float) -> float:
        """Seconds from a moment to the next token."""
        return next(at for at in self.heard if at >= moment) - moment


async def restarted(processes: Processes, streams: list[Stream]) -> float:
    """Read many streams, kill the broker, start it again; returns when it was back."""
    async with asyncio.TaskGroup() as group:
        for stream in streams:
            group.create_task(stream.read(processes.url, 400))
        while not all(len(stream.heard) > 20 for stream in streams):
            await asyncio.sleep(0.05)
        await asyncio.to_thread(processes.broker.kill)
        await asyncio.sleep(AWAY)
        await asyncio.to_thread(processes.broker.start)
        return time.monotonic()


def test_streams_go_on_soon_after_the_broker_is_back(processes: Processes) -> None:
    processes.gateway()
    for name in ("w1", "w2"):
        processes.worker(name, "--slots", "16", "--echo-rate", "40")
    processes.await_workers(2)
    streams = [Stream() for _ in range(24)]
    back = asyncio.run(restarted(processes, streams))
    assert [stream.texts for stream in streams] == [said(400)] * len(streams)
    assert all(stream.ended for stream in streams)
    pauses = [stream.next_after(back) for stream in streams]
    print(f"\n  from the broker's return to the next token: {spread(pauses)}")
    assert max(pauses) < SOON
    truth_of(processes.broker).check()


def test_a_queue_without_room_refuses_by_a_sentence_and_loses_nothing(
    processes: Processes,
) -> None:
    """JetStream's own limit in bytes, reached by long prompts that wait for the one slot."""
    processes.gateway("--req-max-bytes", str(1 << 20))
    processes.worker("w1", "--slots", "1", "--echo-rate", "20")
    processes.await_workers(1)
    first = Reading(processes.url, 100)
    first.start()
    first.await_tokens(3)
    refusals = asyncio.run(all_ask_at_length(processes.url, 24))
    assert 12 <= len(refusals) <= 16, "of 90,000 bytes each, a mebibyte holds some ten"
    for refusal in refusals:
        assert refusal.status == 503 and int(refusal.headers["retry-after"]) > 0
    first.finish()
    assert first.texts == said(100)
    ended = lambda: all(run.end for run in truth_of(processes.broker).runs.values())  # noqa: E731
    until("all have an end", ended)
    truth = truth_of(processes.broker)
    truth.check()
    ends = Counter(type(run.end).__name__ for run in truth.runs.values())
    assert ends == {"Done": 1 + 24 - len(refusals), "Failed": len(refusals)}


async def all_ask_at_length(url: str, count: int) -> list[Response]:
    """Have so many long prompts queued at once and read their answers; who was refused."""

    async def ask(number: int) -> Response:
        body = {"prompt": " ".join(["y" * 18_000] * 5), "params": {"max_tokens": 5}}
        async with send("POST", f"{url}/generate", body) as response:
            events = [event async for _, event in response.events()]
            if response.status == 200:
                assert events[-1] == {"done": True, "total_tokens": 5}
            else:
                assert "queue is full" in events[-1]["error"]
            return response

    answers = await asyncio.gather(*(ask(number) for number in range(count)))
    return [answer for answer in answers if answer.status != 200]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """The disk on which a broker keeps its streams."""
    with small_disk(tmp_path / "mesh" / "broker" / "streams", 16 << 20) as disk:
        yield disk


@pytest.fixture
def confined(disk: SmallDisk, tmp_path: Path) -> Iterator[Processes]:
    """A mesh whose broker has that disk."""
    broker = Broker(tmp_path / "mesh")
    broker.prefix = disk.prefix
    broker.start()
    processes = Processes(broker, tmp_path)
    yield processes
    processes.end()
    broker.kill()


@pytest.mark.timeout(400)
def test_a_broker_whose_disk_is_full_has_lost_nothing_when_there_is_room(
    confined: Processes, disk: SmallDisk
) -> None:
    """A nats-server that could not write does not try again by itself: it has to be restarted."""
    confined.gateway()
    confined.worker("w1", "--echo-rate", "40")
    confined.await_workers(1)
    reading = Reading(confined.url, 300)
    reading.start()
    reading.await_tokens(20)
    disk.fill(leaving=0)
    full = "no space left on device"
    until("the broker says so", lambda: full in confined.broker.log.read_text())
    refusal = httpx.post(f"{confined.url}/generate", json={"prompt": "hello"}, timeout=60)
    assert refusal.status_code == 503
    assert "broker" in refusal.text
    assert not reading.last, "it waits"
    disk.empty()
    confined.broker.kill()
    confined.broker.start()
    reading.finish()
    assert reading.texts == said(300)
    ended = lambda: all(run.end for run in truth_of(confined.broker).runs.values())  # noqa: E731
    until("all have an end", ended)
    truth_of(confined.broker).check()
