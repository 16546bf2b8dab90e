"""Claims under every course of deaths, pauses and deliveries: one holder, and no theft.

A state machine hands one item of the queue to workers again and again, several at once, while
they die, freeze, wake up, give it back and finish. The claims are the real ones, and so is the
gateway's word on how a request stands; the log and the wire are in memory.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec import Struct
from msgspec.structs import force_setattr

from mesh.bus import appender
from mesh.bus.appender import Fenced, append_event
from mesh.bus.asking import Says
from mesh.bus.connection import NoResponders, Silence
from mesh.bus.pull import Item
from mesh.gateway.resume import Resumer
from mesh.protocol import subjects
from mesh.protocol.codec import decode_event, encode
from mesh.protocol.events import Cancel, Cancelled, Claim, Done, Failed, LogEvent, Queued
from mesh.protocol.questions import Alive, RunStatus
from mesh.protocol.request import Prompt
from mesh.protocol.subjects import Writer
from mesh.worker import claim
from mesh.worker.claim import Claims, Held, Past, Settled
from tests.integration.bus.conftest import a_request
from tests.unit.bus.memory import WIRE, Clockwork, Fate, MemoryLog

T = TypeVar("T")

GATEWAY = Writer("gateway", "a")
REQUEST = a_request("r")
FATES: st.SearchStrategy[list[Fate]] = st.lists(
    st.sampled_from(["fine", "away", "unanswered", "transient"]), max_size=3
)
workers = st.integers(0, 2)


@dataclass
class Worker:
    """One process of a worker. busy: it holds the request, or is about to."""

    claims: Claims
    alive: bool = True
    paused: bool = False
    claiming: bool = False
    held: Held | None = None

    @property
    def busy(self) -> bool:
        return self.claiming or self.held is not None

    @property
    def well(self) -> bool:
        return self.alive and not self.paused


class Claiming(RuleBasedStateMachine):
    """One request, three workers of which each may be started again, one gateway."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Clockwork()
        self.log = MemoryLog()
        self.log.answer = self.answer
        self.resumer = Resumer(self.log.js)
        self.deliveries = 0
        self.starts = 0
        self.workers = [self.start(f"w{k}") for k in range(3)]
        self.thefts: list[str] = []
        anchor = Queued(uid="q", request=REQUEST)
        self.queued = self.log.store(subjects.event("gw1", "r", GATEWAY), anchor, 0)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        async def in_time() -> T:
            try:
                async with asyncio.timeout(20.0):
                    return await work
            except TimeoutError:
                raise AssertionError("this comes to no end") from None

        return self.loop.run_until_complete(in_time())

    def start(self, name: str) -> Worker:
        self.starts += 1
        writer = Writer(name, f"i{self.starts}")
        return Worker(Claims(self.log.bus, self.log.js, writer, "print"))

    async def answer(self, subject: str, message: Any, patience: float) -> Struct:
        """What the gateway and the workers answer, if they do."""
        _, kind, user, what = subject.split(".")
        if kind == "resume":
            return await self.resumer.answer(subject, encode(message))
        asked = Writer(user, what)
        worker = next((each for each in self.workers if each.claims.writer == asked), None)
        if worker is None or not worker.alive:
            raise NoResponders("gone")
        if worker.paused:
            await asyncio.sleep(patience)
            raise Silence("paused")
        return Alive(holding=worker.busy)

    # --- what happens -----------------------------------------------------------------------------

    @rule(chosen=st.sets(workers, min_size=1), fates=FATES)
    def hand_out(self, chosen: set[int], fates: list[Fate]) -> None:
        """The queue hands the item out, to several in turn before the first has claimed it."""
        self.log.fates.extend(fates)
        able = [each for each in (self.workers[k] for k in chosen) if each.well and not each.busy]
        self.do(self.all_claim(able))
        self.log.fates.clear()
        if able and not self.ended():
            assert any(each.well and each.held for each in self.workers), "nobody has it"

    async def all_claim(self, able: list[Worker]) -> None:
        await asyncio.gather(*(self.one_claims(each) for each in able))

    async def one_claims(self, worker: Worker) -> None:
        self.deliveries += 1
        prompt = Prompt(queued=self.queued, request=REQUEST)
        worker.claiming = True
        try:
            item = Item(prompt, "ack", 7, self.deliveries)
            await asyncio.sleep(self.deliveries % 3 * WIRE)
            worker.held = await worker.claims.claim(item)
            self.judge(worker.held)
        except Settled:
            pass
        finally:
            worker.claiming = False

    def judge(self, held: Held) -> None:
        """What a worker believes of its claim is what the log says."""
        before = [event for seq, event in self.events() if seq < held.last]
        mine = dict(self.events())[held.last]
        assert isinstance(mine, Claim) and mine.n == held.n
        assert held.cancel == any(isinstance(event, Cancel) for event in before)
        assert held.taken_over == any(isinstance(event, Claim) for event in before)
        for other in self.workers:
            if other.held is not None and other.held is not held and other.well:
                self.thefts.append(str(other.claims.writer))

    @rule(lag=st.integers(1, 4))
    def lag_behind(self, lag: int) -> None:
        """The next read is answered by a replica that lacks the newest messages."""
        self.log.lag = lag

    @rule(who=workers)
    def kill(self, who: int) -> None:
        self.workers[who].alive = False

    @rule(who=workers)
    def start_again(self, who: int) -> None:
        if not self.workers[who].alive:
            self.workers[who] = self.start(f"w{who}")

    @rule(who=workers)
    def pause(self, who: int) -> None:
        self.workers[who].paused = True

    @rule(who=workers)
    def wake(self, who: int) -> None:
        """Who was frozen asks whether its claim stands before it goes on."""
        worker = self.workers[who]
        was, worker.paused = worker.paused, False
        if was and worker.alive and worker.held:
            status = self.do(worker.claims.status(REQUEST))
            if status.n > worker.held.n or status.end:
                worker.held = None

    @rule(who=workers)
    def give_back(self, who: int) -> None:
        if self.workers[who].well:
            self.workers[who].held = None

    @rule(who=workers, fates=FATES)
    def finish(self, who: int, fates: list[Fate]) -> None:
        """An end that is refused is looked into: only a cancel leaves the claim where it is."""
        worker = self.workers[who]
        if not worker.well or worker.held is None:
            return
        self.log.fates.extend(fates)
        held, end = worker.held, Done(uid="d", finish="stop")
        try:
            self.do(worker.claims.append(held.item, end, held.last))
        except Fenced:
            pass
        self.log.fates.clear()
        status = self.do(worker.claims.status(REQUEST))
        if status.end or status.n > held.n:
            worker.held = None
        else:
            assert status.cancel
            held.last = status.last

    @rule(ends=st.booleans())
    def interfere(self, ends: bool) -> None:
        """The gateway asks to stop, or ends the request itself."""
        if not self.ended():
            event = Cancelled(uid="e") if ends else Cancel(uid="x")
            last = self.events()[-1][0]
            self.do(append_event(self.log.js, "gw1", "r", GATEWAY, event, last))

    # --- what has to hold -------------------------------------------------------------------------

    def events(self) -> list[tuple[int, LogEvent]]:
        return [(stored.seq, decode_event(stored.data)) for stored in self.log.messages]

    def ended(self) -> bool:
        return any(isinstance(event, Done | Failed | Cancelled) for _, event in self.events())

    @invariant()
    def claims_count_up_and_nothing_follows_an_end(self) -> None:
        story = [event for _, event in self.events()]
        ends = [isinstance(event, Done | Failed | Cancelled) for event in story]
        assert sum(ends) <= 1 and True not in ends[:-1]
        numbers = [event.n for event in story if isinstance(event, Claim)]
        assert numbers == list(range(1, len(numbers) + 1))

    @invariant()
    def nobody_is_robbed(self) -> None:
        assert not self.thefts

    def teardown(self) -> None:
        self.loop.close()


def test_a_claim_that_landed_unanswered_is_not_held_once_the_request_has_ended() -> None:
    """Its worker was cut off until after the deadline, and a gateway has ended it meanwhile."""
    course = Claiming()
    course.log.fates.extend(["unanswered", "away", "away", "away", "away", "away"])
    item = Item(Prompt(queued=course.queued, request=REQUEST), "ack", 7, 1)

    async def happens() -> None:
        claiming = asyncio.create_task(course.workers[0].claims.claim(item))
        await asyncio.sleep(0.25)
        claimed = course.events()[-1][0]
        course.log.store(subjects.event("gw1", "r", GATEWAY), Cancelled(uid="e"), claimed)
        with pytest.raises(Settled):
            await claiming

    course.do(happens())
    course.loop.close()
    assert [type(event) for _, event in course.events()] == [Queued, Claim, Cancelled]


SETTINGS = settings(
    max_examples=300,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand refusals are no news here."""
    caplog.set_level(logging.ERROR, "mesh")


def test_of_all_workers_one_holds_a_request_and_none_is_robbed() -> None:
    run_state_machine_as_test(Claiming, settings=SETTINGS)


# --- negative controls ----------------------------------------------------------------------------


def without_asking_before_stealing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(*_: object, **__: object) -> Says:
        return Says.GONE

    monkeypatch.setattr(claim, "ask", ask)


def without_the_expected_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appender, "fence", lambda *_: {})


def without_heed_of_the_latest_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes over begins to count from one again."""

    async def check(self: Claims, item: Item, status: RunStatus) -> Past:
        past = await looks(self, item, status)
        force_setattr(status, "n", 0)
        return past

    looks = Claims._check
    monkeypatch.setattr(Claims, "_check", check)


@pytest.mark.parametrize(
    "lacking",
    [
        without_asking_before_stealing,
        without_the_expected_sequences,
        without_heed_of_the_latest_claim,
    ],
)
def test_without_the_mechanism_the_machine_notices(
    lacking: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(monkeypatch)
    quick = settings(SETTINGS, report_multiple_bugs=False, phases=(Phase.generate,))
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Claiming, settings=quick)
