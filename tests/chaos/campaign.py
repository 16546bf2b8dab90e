"""One campaign: start a mesh, let a plan happen to it, wait for peace, hold all against the log.

    python -m tests.chaos --seed 1 --requests 10000 --faults 1000 --seconds 1200

prints the figures. A seed draws the same plan again.
"""

import asyncio
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import kept
from tests.chaos.checker import Verdict, check
from tests.chaos.clients import PATIENCE, People
from tests.chaos.cluster_mesh import CLUSTERED, ClusterMesh
from tests.chaos.ends import Known
from tests.chaos.faults import Faults
from tests.chaos.mesh import Mesh
from tests.chaos.plan import FILLING, Ask, Plan
from tests.chaos.remains import remains
from tests.chaos.story import Story, settle
from tests.chaos.times import Times, headless, obeyed, ran_on, resumed, silent, takeovers

ACK_WAIT = 6.0
"""Seconds of the queue's patience, as in a mesh that nobody has set."""

SETTINGS = {
    "ack_wait": str(ACK_WAIT),
    "poison_after": "2",  # as in a mesh that nobody has set: two deaths of a holder at one place,
    "poison_in_all": "5",  # or five wherever they were, end an answer, and have to be shown
    "request_timeout": "120",
    "worker_wait": "30",
    "grace": "1",
    "log_level": "info",
}

BUNDLED = ("--engine", "llamacpp", "--threads", "1")
"""A worker of the bundled model."""

SECOND_MODEL = "mesh-demo"
"""Its name."""

SLOTS = 16
"""Slots of each echo worker in a whole campaign: few enough to be taken all at once at its end."""


@dataclass
class Outcome:
    """What a campaign has shown. Times in seconds.

    left_out: faults that this machine does not allow, by kind; why_left_out: for what reason;
    silent: take-overs from workers that nobody said were gone; hang_ups, stops: to the answer's
    end, ran_on: the same of those that were done all the same; wordless: clients that wanted to
    hang up, and heard nothing before they were refused or cut off; pressed: how many of the slow
    readers kept a gateway waiting.
    """

    verdict: Verdict
    faults: Counter[str]
    left_out: Counter[str] = field(default_factory=Counter)
    why_left_out: str = ""
    takeovers: Times = field(default_factory=Times)
    silent: Times = field(default_factory=Times)
    hang_ups: Times = field(default_factory=Times)
    stops: Times = field(default_factory=Times)
    ran_on: Times = field(default_factory=Times)
    resumed: list[float] = field(default_factory=list)
    headless: list[float] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    seconds: float = 0.0
    settled: float = 0.0
    lost_items: int = 0
    wordless: int = 0
    slow: int = 0
    pressed: int = 0


@dataclass
class Campaign:
    """A plan, and the mesh it happens to.

    small_disks: whether store and broker have disks that can be full, where the machine allows
    that; model_workers: flags of two more workers, of another engine; cluster: whether the broker
    is three that are one; slots: of each echo worker, all of which have to take an answer when all
    is over; 0: the engine's choice, and nobody asks.
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
    cluster: bool = False
    slots: int = 0

    async def run(self) -> Outcome:
        mesh = self._mesh()
        for number in (signal.SIGUSR1, signal.SIGUSR2):  # its services inherit that
            signal.signal(number, signal.SIG_IGN)  # and no clock is set before it can be
        why_not = mesh.small_disks() if self.small_disks else ""
        try:
            flags = ("--echo-rate", self.rate, "--slots", str(self.slots))
            await mesh.start(self.gateways, self.workers, self.store, *flags)
            if self.model_workers:
                await mesh.another_worker("m1", *self.model_workers)
                await mesh.another_worker("m2", *self.model_workers)
            outcome = await self._run(mesh)
            outcome.why_left_out = why_not
            return outcome
        finally:
            await mesh.end()

    def _mesh(self) -> Mesh:
        if self.cluster:
            return ClusterMesh(self.folder, self._settings(), self.without, self.workers)
        return Mesh(self.folder, self._settings(), self.without)

    def _settings(self) -> dict[str, str]:
        return SETTINGS | (CLUSTERED if self.cluster else {}) | dict(self.settings)

    async def _run(self, mesh: Mesh) -> Outcome:
        rng = random.Random(self.plan.seed)
        people = People(mesh.urls, rng, self.forgetful, self.patience, narrow=mesh.narrow)
        faults = Faults(mesh, rng)
        if self.store:
            await people.sign_in()
        await self._warm_up(people)
        before = mesh.sizes()
        async with _supervised(faults):
            began = time.monotonic()
            await self._happen(people, faults)
            happened = time.monotonic() - began
            stories = await settle(mesh.reach, 1.2 * self.patience)
            settled = time.monotonic() - began - happened
            await mesh.workers_present(len(mesh.workers))
            stored = await _kept(mesh, stories, self.patience) if self.store else None
            left = await remains(mesh, before, self.workers * self.slots)
        known = self._known(people, faults)
        asks = [*self.plan.asks, WARM_UP]
        return Outcome(
            verdict=check(stories, asks, people.transcripts, stored, known),
            faults=faults.happened,
            left_out=faults.left_out,
            takeovers=takeovers(stories, faults),
            silent=silent(stories, faults.windows),
            hang_ups=obeyed(stories, known, chats=False),
            stops=obeyed(stories, known, chats=True),
            ran_on=ran_on(stories, known),
            resumed=resumed(stories, faults),
            headless=headless(stories, faults),
            leftovers=left,
            seconds=happened,
            settled=settled,
            lost_items=_lost_items(mesh),
            wordless=people.wordless,
            slow=sum(ask.client == "slow" and ask.tokens == FILLING for ask in asks),
            pressed=len(people.pressed),
        )

    def _known(self, people: People, faults: Faults) -> Known:
        settings = self._settings()
        return Known(
            hung_up=people.hung_up,
            windows=faults.windows,
            timeout=float(settings["request_timeout"]),
            poison_after=int(settings["poison_after"]),
            poison_in_all=int(settings["poison_in_all"]),
            never_granted=people.never_granted,
            blunt=people.door.blunt,
            cuts=people.door.cuts,
            left=faults.left,
        )

    async def _warm_up(self, people: People) -> None:
        await asyncio.gather(*(people.ask(WARM_UP) for _ in range(8)))

    async def _happen(self, people: People, faults: Faults) -> None:
        begin = time.monotonic() + 0.5

        async def at(moment: float) -> None:
            await asyncio.sleep(max(0.0, begin + moment - time.monotonic()))

        async def ask(one: Ask) -> None:
            await at(one.at)
            await people.ask(one)

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


async def _kept(mesh: Mesh, stories: list[Story], patience: float) -> kept.Kept:
    """What is in the database, once it has all that the log has, or it has had time enough: as
    long as clients are patient, and a minute at most."""
    found = kept.Kept()
    for _ in range(int(min(patience, 60.0))):
        with suppress(sqlite3.DatabaseError):
            found = kept.read(await mesh.database())
        if found.settled(stories):
            break
        await asyncio.sleep(1.0)
    return found


def _lost_items(mesh: Mesh) -> int:
    """How often the queue had lost an item and had to be given it again."""
    logs = (gateway.log.read_text() for gateway in mesh.gateways)
    return sum(text.count("The queue had lost") for text in logs)
