"""Which claims on a request count as failures of their engines: all whose engine was not well."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct

from mesh.bus.connection import NoResponders
from mesh.bus.pull import Item
from mesh.gateway.resume import Resumer
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.events import Cancel, Claim, Queued, WorkerStopped
from mesh.protocol.questions import Alive
from mesh.protocol.request import Prompt
from mesh.protocol.subjects import Writer
from mesh.protocol.worker_info import WorkerInfo
from mesh.worker.claim import Claims, Deferred
from tests.integration.bus.conftest import a_request
from tests.unit.bus.memory import Clockwork, MemoryLog

REQUEST = a_request("r")


class Row:
    """Workers that take one request over from each other, each as it is told."""

    def __init__(self) -> None:
        self.loop = Clockwork()
        self.log = MemoryLog()
        self.log.answer = self._answer
        self._resumer = Resumer(self.log.js, lambda model: self._present())
        self._starts: Counter[str] = Counter()
        self.there: list[str] = []
        """Workers that are there for the model."""
        self._there: dict[str, Claims] = {}
        self._item = self._queue()
        self.older_gateway = False

    def _inc(self, name: str) -> str:
        return f"i{self._starts[name]}" if self._starts[name] else "i"

    def _present(self) -> list[WorkerInfo]:
        return [a_worker(name, self._inc(name)) for name in self.there]

    def _queue(self) -> Item:
        anchor = Queued(uid="q", request=REQUEST)
        queued = self.log.store(subjects.event("gw1", "r", Writer("gateway", "a")), anchor, 0)
        return Item(Prompt(queued=queued, request=REQUEST), "ack", seq=7, deliveries=2)

    async def _answer(self, subject: str, message: Any, patience: float) -> Struct:
        _, kind, user, what = subject.split(".")
        if kind == "resume":
            status = await self._resumer.answer(subject, encode(message))
            if self.older_gateway:
                status = type(status)(
                    last=status.last, n=status.n, claimant=status.claimant, left=status.left
                )
            return status
        if user not in self._there:
            raise NoResponders("gone")
        return Alive(holding=False, handed_over=self._there[user].has_passed_on("r"))

    def claims(self, name: str) -> int:
        """A worker claims: how many claims before its own have failed."""
        claims = self._there.setdefault(
            name, Claims(self.log.bus, self.log.js, Writer(name, self._inc(name)), "print")
        )
        held = self.loop.run_until_complete(claims.claim(self._item))
        return held.failures

    def fails(self, name: str) -> None:
        self._there[name].failed_on("r")

    def starts_again(self, name: str) -> None:
        """Without what it knew."""
        del self._there[name]
        self._starts[name] += 1

    def was_started(self, name: str) -> None:
        """After it had left."""
        self._starts[name] += 1

    def is_to_stop(self) -> None:
        event = Cancel(uid="stop", by="somebody")
        self.log.store(subjects.event("gw1", "r", Writer("gateway", "a")), event)

    def hands_over(self, name: str) -> None:
        self._there[name].pass_on("r")

    def leaves(self, name: str, reason: str) -> None:
        del self._there[name]
        event = WorkerStopped(uid="s", name=name, inc=self._inc(name), reason=reason)
        writer = Writer(name, self._inc(name))
        self.log.store(subjects.event(subjects.FLEET, subjects.process(writer), writer), event)

    def dies(self, name: str) -> None:
        del self._there[name]

    def older_worker_claims(self, name: str, n: int) -> None:
        claim = Claim(uid=f"c{n}", n=n, item=7, ack_reply="ack", model="m")
        self.log.store(subjects.event("gw1", "r", Writer(name, "i")), claim)


def a_worker(name: str, inc: str) -> WorkerInfo:
    return WorkerInfo(name=name, inc=inc, protocol=1, version="0", models=(), slots=1, started=0.0)


@pytest.fixture
def row() -> Iterator[Row]:
    row = Row()
    yield row
    row.loop.close()


def test_who_hands_over_has_not_failed(row: Row) -> None:
    row.claims("w1")
    row.hands_over("w1")
    assert row.claims("w2") == 0


def test_who_only_gives_it_back_has(row: Row) -> None:
    row.claims("w1")
    assert row.claims("w2") == 1
    assert row.claims("w3") == 2


def test_the_failures_of_a_worker_that_gets_it_again_count_each(row: Row) -> None:
    assert [row.claims("w1") for _ in range(3)] == [0, 1, 2]


def test_who_has_handed_it_over_and_gets_it_again_is_sound_only_for_that(row: Row) -> None:
    row.claims("w1")
    row.hands_over("w1")
    assert row.claims("w1") == 0
    assert row.claims("w2") == 1


@pytest.mark.parametrize(("reason", "failures"), [("drained", 0), ("stopped", 0), ("stuck", 1)])
def test_of_one_that_has_left_its_goodbye_tells(row: Row, reason: str, failures: int) -> None:
    row.claims("w1")
    row.leaves("w1", reason)
    assert row.claims("w2") == failures


def test_one_that_died_is_lost_and_its_engine_did_not_fail(row: Row) -> None:
    row.claims("w1")
    row.dies("w1")
    assert row.claims("w2") == 0


def test_drains_between_failures_neither_count_nor_forgive(row: Row) -> None:
    row.claims("w1")
    row.hands_over("w1")
    assert row.claims("w2") == 0
    assert row.claims("w3") == 1
    row.hands_over("w3")
    assert row.claims("w4") == 1
    assert row.claims("w5") == 2


def test_claims_that_do_not_say_count_all(row: Row) -> None:
    row.older_worker_claims("w1", 1)
    row.older_worker_claims("w2", 2)
    assert row.claims("w3") == 1  # w2 is gone, and so it is lost; of w1 nobody knows
    assert row.claims("w4") == 2


def test_a_gateway_that_does_not_say_makes_all_count(row: Row) -> None:
    row.claims("w1")
    row.hands_over("w1")
    row.claims("w2")
    row.older_gateway = True
    assert row.claims("w3") == 2


def test_who_has_failed_on_it_leaves_it_to_one_that_has_not_had_it(row: Row) -> None:
    row.there = ["w1", "w2"]
    row.claims("w1")
    row.fails("w1")
    with pytest.raises(Deferred):
        row.claims("w1")
    assert row.claims("w2") == 1


def test_who_is_alone_waits_before_it_tries_again(row: Row) -> None:
    row.there = ["w1"]
    row.claims("w1")
    row.fails("w1")
    with pytest.raises(Deferred) as deferred:
        row.claims("w1")
    assert 0.0 < deferred.value.delay <= 1.0


def test_once_all_have_failed_it_is_anybodys(row: Row) -> None:
    row.there = ["w1", "w2"]
    row.claims("w1")
    row.claims("w2")
    assert row.claims("w1") == 2


def test_the_last_try_is_left_to_others_also_by_one_that_was_started_again(row: Row) -> None:
    row.there = ["w1"]
    row.claims("w1")
    assert row.claims("w1") == 1
    row.starts_again("w1")
    row.there = ["w1", "w2"]
    with pytest.raises(Deferred):
        row.claims("w1")
    assert row.claims("w2") == 2


def test_two_that_failed_and_were_started_again_do_not_wait_for_each_other(row: Row) -> None:
    row.there = ["w1", "w2"]
    row.claims("w1")
    row.leaves("w1", "stuck")
    assert row.claims("w2") == 1
    row.leaves("w2", "stuck")
    row.was_started("w1")
    row.was_started("w2")
    assert row.claims("w1") == 2


def test_what_was_asked_to_stop_is_left_to_nobody(row: Row) -> None:
    row.there = ["w1", "w2"]
    row.claims("w1")
    row.fails("w1")
    row.is_to_stop()
    assert row.claims("w1") == 1
