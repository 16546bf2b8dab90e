"""One campaign: start a mesh, let a plan happen to it, wait for peace, hold all against the log.

    python -m tests.chaos --seed 1 --requests 10000 --faults 1000 --seconds 1200

prints the figures. A seed draws the same plan again.
"""

import asyncio
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from tests.chaos.checker import Row, Verdict, check
from tests.chaos.clients import PATIENCE, GaveUp, People
from tests.chaos.faults import Death, Faults
from tests.chaos.mesh import Mesh
from tests.chaos.plan import Ask, Plan
from tests.chaos.story import Claimed, Story, settle

ACK_WAIT = 6.0
"""Seconds of the queue's patience, as in a mesh that nobody has set."""

SETTINGS = {
    "ack_wait": str(ACK_WAIT),
    "poison_after": "1000",  # the faults come from outside: no request is to blame
    "request_timeout": "120",
    "worker_wait": "30",
    "grace": "1",
    "log_level": "info",
}


@dataclass
class Outcome:
    """What a campaign has shown. Times in seconds."""

    verdict: Verdict
    faults: Counter[str]
    takeovers: list[float] = field(default_factory=list)
    disturbed: list[float] = field(default_factory=list)
    cancels: list[float] = field(default_factory=list)
    resumed: list[float] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    seconds: float = 0.0
    settled: float = 0.0
    lost_items: int = 0


@dataclass
class Campaign:
    """A plan, and the mesh it happens to."""

    plan: Plan
    folder: Path
    gateways: int = 2
    workers: int = 4
    store: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)
    without: Mapping[str, Sequence[str]] = field(default_factory=dict)
    forgetful: bool = False
    patience: float = PATIENCE
    rate: str = "60"
    model_worker: tuple[str, ...] = ()

    async def run(self) -> Outcome:
        mesh = Mesh(self.folder, SETTINGS | dict(self.settings), self.without)
        try:
            await mesh.start(self.gateways, self.workers, self.store, "--echo-rate", self.rate)
            if self.model_worker:
                await mesh.another_worker("m1", *self.model_worker)
                await mesh.another_worker("m2", *self.model_worker)
            return await self._run(mesh)
        finally:
            await mesh.end()

    async def _run(self, mesh: Mesh) -> Outcome:
        rng = random.Random(self.plan.seed)
        people = People(mesh.urls, rng, self.forgetful, self.patience)
        faults = Faults(mesh, rng)
        if self.store:
            await people.sign_in()
        await self._warm_up(people)
        before = mesh.sizes()
        began = time.monotonic()
        await self._happen(people, faults)
        happened = time.monotonic() - began
        stories = await settle(mesh.broker, 1.2 * self.patience)
        settled = time.monotonic() - began - happened
        await mesh.workers_present(len(mesh.workers))
        rows = await _rows(mesh, stories) if self.store else None
        asks = [*self.plan.asks, WARM_UP]
        verdict = check(stories, asks, people.transcripts, rows)
        alone, amid = takeovers(stories, faults)
        return Outcome(
            verdict=verdict,
            faults=faults.happened,
            takeovers=alone,
            disturbed=amid,
            cancels=_cancels(stories, people.hung_up),
            resumed=_resumed(stories, faults),
            leftovers=await _leftovers(mesh, before),
            seconds=happened,
            settled=settled,
            lost_items=_lost_items(mesh),
        )

    async def _warm_up(self, people: People) -> None:
        await asyncio.gather(*(people.ask(WARM_UP) for _ in range(8)))

    async def _happen(self, people: People, faults: Faults) -> None:
        begin = time.monotonic() + 0.5

        async def at(moment: float) -> None:
            await asyncio.sleep(max(0.0, begin + moment - time.monotonic()))

        async def ask(one: Ask) -> None:
            await at(one.at)
            try:
                await people.ask(one)
            except GaveUp as why:
                people.transcripts[:] = [t for t in people.transcripts if t.number != one.number]
                faults.happened[f"gave up: {str(why)[:20]}"] += 1

        supervising = asyncio.create_task(faults.supervise())
        async with asyncio.TaskGroup() as group:
            for one in self.plan.asks:
                group.create_task(ask(one))
            for fault in self.plan.faults:
                await at(fault.at)
                group.create_task(faults.strike(fault))
        supervising.cancel()


WARM_UP = Ask(number=10_000_000, at=0.0, client="reader", tokens=20, after=1)


async def _rows(mesh: Mesh, stories: list[Story]) -> dict[str, Row]:
    """The runs in the database, once it has all that the log has, or it has had time enough."""
    rows: dict[str, Row] = {}
    for _ in range(60):
        with sqlite3.connect(mesh.folder / "data" / "mesh.db") as database:
            rows = {
                rid: (state, text)
                for rid, state, text in database.execute("select rid, state, text from runs")
            }
        states = [rows[story.rid][0] for story in stories if story.rid in rows]
        if len(states) == len(stories) and not {"queued", "running"} & set(states):
            break
        await asyncio.sleep(1.0)
    return rows


def takeovers(stories: list[Story], faults: Faults) -> tuple[list[float], list[float]]:
    """Seconds from each worker's kill -9 to the next claim on each request that it held.

    Two lists: where nothing else was wrong meanwhile, so that the broker's word of the death could
    be heard and acted upon; and where the broker, a gateway or another worker was in trouble too.
    """
    alone: list[float] = []
    amid: list[float] = []
    for story in stories:
        for held, following in zip(story.claims, story.claims[1:], strict=False):
            death = _death_between(held, following, faults)
            if death is not None:
                others = [window for window in faults.windows if window.name != death.user]
                troubled = any(each.meets(death.at, following.at) for each in others)
                (amid if troubled else alone).append(following.at - death.at)
    return alone, amid


def _death_between(held: Claimed, following: Claimed, faults: Faults) -> Death | None:
    """The death of a claim's holder before the next claim, if it was killed and that was why."""
    for death in faults.deaths:
        if held.writer.user == death.user and death.born <= held.at <= death.at <= following.at:
            return death
    return None


def _cancels(stories: list[Story], hung_up: dict[int, float]) -> list[float]:
    """Seconds from hanging up, or asking to stop, to the end in the log."""
    by_number = {story.number: story for story in stories}
    found = ((by_number.get(number), at) for number, at in hung_up.items())
    return [
        max(0.0, story.ended - at)
        for story, at in found
        if story is not None and type(story.run.end).__name__ == "Cancelled"
    ]


def _resumed(stories: list[Story], faults: Faults) -> list[float]:
    """Seconds from each return of a broker that was killed to the next piece, or the end, of each

    answer that was being written when it died and that no other trouble met.
    """
    found = []
    for back in faults.returns:
        for story in stories:
            before = [at for at in story.written if at < back]
            after = [at for at in (*story.written, story.ended) if at >= back]
            if not before or not after:
                continue
            spoilt = any(
                window.name != "broker" and window.meets(before[-1], min(after))
                for window in faults.windows
            )
            if not spoilt:
                found.append(min(after) - back)
    return found


async def _leftovers(mesh: Mesh, before: dict[str, tuple[int, int]]) -> list[str]:
    """What is not as it was: files and memory of processes that were not restarted, slots."""
    await asyncio.sleep(3.0)
    said = []
    for name, (files, memory) in mesh.sizes().items():
        if files > before[name][0] + 20:
            said.append(f"{name} has {files} open files, {before[name][0]} before")
        if memory > 2 * before[name][1] + (200 << 20):
            said.append(f"{name} has {memory >> 20} MiB, {before[name][1] >> 20} before")
    return said


def _lost_items(mesh: Mesh) -> int:
    """How often the queue had lost an item and had to be given it again."""
    logs = (gateway.log.read_text() for gateway in mesh.gateways)
    return sum(text.count("The queue had lost") for text in logs)


def spread(values: list[float]) -> str:
    """Median, 99th percentile and maximum in milliseconds."""
    if not values:
        return "none"
    p99 = quantiles(values, n=100, method="inclusive")[-1] if len(values) > 1 else values[0]
    figures = (f"{1000 * value:.0f}" for value in (median(values), p99, max(values)))
    return f"{' / '.join(figures)} ms (median / p99 / max of {len(values)})"
