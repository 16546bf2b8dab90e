"""One campaign: start a mesh, let a plan happen to it, wait for peace, hold all against the log.

    python -m tests.chaos --seed 1 --requests 10000 --faults 1000 --seconds 1200

prints the figures. A seed draws the same plan again.
"""

import asyncio
import random
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.checker import Row, Verdict, check
from tests.chaos.clients import PATIENCE, GaveUp, People
from tests.chaos.faults import Faults
from tests.chaos.mesh import Mesh
from tests.chaos.plan import Ask, Plan
from tests.chaos.remains import remains
from tests.chaos.story import Story, settle
from tests.chaos.times import Times, cancels, resumed, takeovers

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

BUNDLED = ("--engine", "llamacpp", "--threads", "1")
"""A worker of the bundled model."""

SECOND_MODEL = "mesh-demo"
"""Its name."""


@dataclass
class Outcome:
    """What a campaign has shown. Times in seconds.

    left_out: faults that this machine does not allow, by kind; why_left_out: for what reason.
    """

    verdict: Verdict
    faults: Counter[str]
    left_out: Counter[str] = field(default_factory=Counter)
    why_left_out: str = ""
    takeovers: Times = field(default_factory=Times)
    cancels: Times = field(default_factory=Times)
    resumed: list[float] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    seconds: float = 0.0
    settled: float = 0.0
    lost_items: int = 0


@dataclass
class Campaign:
    """A plan, and the mesh it happens to.

    small_disks: whether store and broker have disks that can be full, where the machine allows
    that; model_workers: flags of two more workers, of another engine.
    """

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
    model_workers: tuple[str, ...] = ()
    small_disks: bool = False

    async def run(self) -> Outcome:
        mesh = Mesh(self.folder, SETTINGS | dict(self.settings), self.without)
        why_not = mesh.small_disks() if self.small_disks else ""
        try:
            await mesh.start(self.gateways, self.workers, self.store, "--echo-rate", self.rate)
            if self.model_workers:
                await mesh.another_worker("m1", *self.model_workers)
                await mesh.another_worker("m2", *self.model_workers)
            outcome = await self._run(mesh)
            outcome.why_left_out = why_not
            return outcome
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
        async with _supervised(faults):
            began = time.monotonic()
            await self._happen(people, faults)
            happened = time.monotonic() - began
            stories = await settle(mesh.broker, 1.2 * self.patience)
            settled = time.monotonic() - began - happened
            await mesh.workers_present(len(mesh.workers))
            rows = await _rows(mesh, stories) if self.store else None
            left = await remains(mesh, before)
        verdict = check(stories, [*self.plan.asks, WARM_UP], people.transcripts, rows)
        return Outcome(
            verdict=verdict,
            faults=faults.happened,
            left_out=faults.left_out,
            takeovers=takeovers(stories, faults),
            cancels=cancels(stories, people.hung_up, faults),
            resumed=resumed(stories, faults),
            leftovers=left,
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

        async with asyncio.TaskGroup() as group:
            for one in self.plan.asks:
                group.create_task(ask(one))
            for fault in self.plan.faults:
                await at(fault.at)
                group.create_task(faults.strike(fault))


WARM_UP = Ask(number=10_000_000, at=0.0, client="reader", tokens=20, after=1)


@asynccontextmanager
async def _supervised(faults: Faults) -> AsyncIterator[None]:
    """While this lasts, whatever ends is started again."""
    supervising = asyncio.create_task(faults.supervise())
    try:
        yield
    finally:
        supervising.cancel()
        with suppress(asyncio.CancelledError):
            await supervising


async def _rows(mesh: Mesh, stories: list[Story]) -> dict[str, Row]:
    """The runs in the database, once it has all that the log has, or it has had time enough."""
    rows: dict[str, Row] = {}
    for _ in range(60):
        with suppress(sqlite3.DatabaseError):
            rows = _read(await mesh.database())
        states = [rows[story.rid][0] for story in stories if story.rid in rows]
        if len(states) == len(stories) and not {"queued", "running"} & set(states):
            break
        await asyncio.sleep(1.0)
    return rows


def _read(path: Path) -> dict[str, Row]:
    database = sqlite3.connect(path)
    try:
        found = database.execute("select rid, state, text from runs")
        return {rid: (state, text) for rid, state, text in found}
    finally:
        database.close()


def _lost_items(mesh: Mesh) -> int:
    """How often the queue had lost an item and had to be given it again."""
    logs = (gateway.log.read_text() for gateway in mesh.gateways)
    return sum(text.count("The queue had lost") for text in logs)
