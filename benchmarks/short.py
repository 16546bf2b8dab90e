"""Short answers that are not streamed, so many a second: whether the mesh keeps up.

    python -m benchmarks.short [--rate 200] [--seconds 15]

Starts its own mesh with the echo engine. Requests begin by the clock, whether those before have
been answered or not, and an answer's time counts from when it was due to be asked for, so that
what queues up is seen. Exit status 1 if an answer was wrong, or too many came late.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

import uvloop

from benchmarks import subjects
from benchmarks.report import Aim
from benchmarks.subjects import Target
from mesh.cli.load.connection import Connection, Read
from mesh.cli.load.figures import Spent
from mesh.cli.load.processes import Watch
from mesh.cli.load.question import PATH, REPEAT, repeated
from mesh.cli.load.table import aligned

RATE, SECONDS = 200, 15.0

TOKENS = 8
"""Of each answer."""

WARM = 2.0
"""Seconds at the same rate before anything counts."""

LATE = 1_000.0
"""Milliseconds; where the mesh does not keep up, more of them are late the longer it lasts."""

PATIENCE = 30.0
"""Seconds in which an answer has to come."""


class Whole(Connection):
    """A connection for answers that are not streamed, and end where their head says."""

    async def answer(self, request: bytes) -> bytes:
        """The whole response; what there is of it, if the connection is lost or takes too long."""
        return b"".join(read.data for read in await self.ask(request, PATIENCE))

    def data_received(self, data: bytes) -> None:
        self._reads.append(Read(perf_counter(), data))
        head, blank, body = b"".join(read.data for read in self._reads).partition(b"\r\n\r\n")
        length = head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        if blank and length and len(body) >= int(length):
            self._finish()


@dataclass
class Found:
    """times: seconds from when each answer was due to be asked for; errors: by what they were."""

    asked: int = 0
    times: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    spent: dict[str, Spent] = field(default_factory=dict)

    @property
    def p99(self) -> float:
        """Milliseconds that 99 of 100 answers do not exceed; without end where there was none."""
        times = sorted(self.times) or [inf]
        return 1e3 * times[len(times) * 99 // 100]

    def row(self) -> list[str]:
        times = [1e3 * time for time in self.times] or [inf]
        figures = median(times), self.p99, max(times)
        each = [f"{1e6 * of.cpu / max(1, self.asked):,.0f}" for of in self.spent.values()]
        said = [f"{figure:,.1f}" for figure in figures]
        rate = f"{len(self.times) / self.seconds:,.1f}"
        return [
            f"{self.asked / self.seconds:,.0f}/s",
            rate,
            *said,
            str(sum(self.errors.values())),
        ] + each

    def head(self) -> list[str]:
        named = ["asked", "answered/s", "ms", "p99", "slowest", "errors"]
        return [*named, *(f"{kind} µs" for kind in self.spent)]


class Load:
    """Asks a gateway the same short question, at a rate."""

    def __init__(self, url: str, rate: int) -> None:
        self._url = url
        self._rate = rate
        self._request = question(url)
        self._idle: list[Whole] = []

    async def run(self, seconds: float) -> Found:
        """Ask for so many seconds, then wait for the last answers."""
        found, begun = Found(), perf_counter()
        async with asyncio.TaskGroup() as asking:
            for number in range(round(seconds * self._rate)):
                due = begun + number / self._rate
                await asyncio.sleep(due - perf_counter())
                asking.create_task(self._ask(due, found))
        found.seconds = max(seconds, perf_counter() - begun)
        return found

    async def _ask(self, due: float, found: Found) -> None:
        found.asked += 1
        try:
            connection = await self._connection()
        except OSError as error:
            found.errors[f"no connection: {error}"] += 1
            return
        answer = await connection.answer(self._request)
        time = perf_counter() - due
        if connection.usable:
            self._idle.append(connection)
        wrong = trouble(answer)
        if wrong:
            found.errors[wrong] += 1
        else:
            found.times.append(time)

    async def _connection(self) -> Whole:
        """One that is open still, or a new one. Raises OSError."""
        while self._idle:
            if (connection := self._idle.pop()).usable:
                return connection
        return await Whole.open(self._url)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()


def question(url: str) -> bytes:
    """The whole HTTP request."""
    body = {
        "messages": [{"role": "user", "content": REPEAT}],
        "max_tokens": TOKENS,
        "temperature": 0,
    }
    data = json.dumps(body).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nContent-Length: {len(data)}"
    return f"{head}\r\nContent-Type: application/json\r\n\r\n".encode() + data


def trouble(answer: bytes) -> str:
    """What is wrong with a response; "" where nothing is."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        return head.partition(b"\r\n")[0].decode() or "no answer"
    try:
        said = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError):
        return "it broke off"
    return "" if said.split() == repeated(TOKENS).split() else "another text than was to come"


async def measure(target: Target, rate: int, seconds: float) -> Found:
    """A load on a mesh, and what its processes spent on it."""
    load, watch = Load(target.url, rate), Watch(target.pids)
    try:
        await load.run(WARM)
        with watch.running():
            found = await load.run(seconds)
        found.spent = watch.spent()
        return found
    finally:
        load.close()


def run(folder: Path, rate: int = RATE, seconds: float = SECONDS) -> list[Aim]:
    """Measure, print it, and say what was to be reached."""
    echo = {"MESH_ENGINE": "echo", "MESH_SLOTS": "1000"}
    with subjects.mesh(folder, "short", echo) as mesh:
        found = uvloop.run(measure(mesh, rate, seconds))
    print(f"\nAnswers of {TOKENS} tokens, not streamed\n{aligned([found.head(), found.row()])}")
    for error, times in found.errors.most_common(5):
        print(f"{times} times: {error}")
    name = f"{rate} short answers a second for {seconds:g} s"
    return [
        Aim(f"{name}, errors", sum(found.errors.values()), 0, False),
        Aim(f"{name}, p99, ms", found.p99, LATE, False),
    ]


def main() -> int:
    """Run, and say whether what was to be reached was."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.short", description=__doc__)
    parser.add_argument("--rate", type=int, default=RATE)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    return subjects.standalone(lambda folder: run(folder, options.rate, options.seconds))


if __name__ == "__main__":
    sys.exit(main())
