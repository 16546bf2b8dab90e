"""How many may wait, and when to come back."""

import pytest

from mesh.gateway.crowd import LONGEST, UNKNOWN, WINDOW, Crowd
from mesh.gateway.waiting import WaitingRoom
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Claim, Done, Failed, Queued
from mesh.protocol.request import Request

CLAIM = Claim(uid="c", n=1, item=1, ack_reply="", model="tiny")
DONE = Done(uid="d", finish="stop")


def queued(rid: str, model: str = "tiny", tenant: str = "u") -> Queued:
    request = Request(
        rid=rid, reply="gw1", tenant=tenant, model=model, messages=(), created=0.0, deadline=1e9
    )
    return Queued(uid=rid, request=request)


class World:
    """A crowd with a clock of its own."""

    def __init__(self, most: int = 100) -> None:
        self.now = 0.0
        self.crowd = Crowd(WaitingRoom(clock=lambda: self.now), most, clock=lambda: self.now)
        self._seq = 0

    def ask(self, count: int, model: str = "tiny", tenant: str = "u") -> list[str]:
        rids = []
        for _ in range(count):
            self._seq += 1
            rids.append(f"r{self._seq}")
            self.crowd.hear(rids[-1], queued(rids[-1], model, tenant), self._seq)
        return rids

    def end(self, rids: list[str], every: float) -> None:
        for rid in rids:
            self.now += every
            self._seq += 1
            self.crowd.hear(rid, CLAIM, self._seq)
            self.crowd.hear(rid, DONE, self._seq)

    def after(self, code: ErrorCode, model: str = "tiny", tenant: str = "u") -> float:
        found = self.crowd.refusal(code, model, tenant).retry_after
        assert found is not None
        return found


def test_one_more_than_may_wait_for_a_model_is_refused() -> None:
    world = World(most=3)
    world.ask(2)
    world.ask(5, model="other")
    world.crowd.check("tiny")
    (last,) = world.ask(1)
    with pytest.raises(MeshError) as caught:
        world.crowd.check("tiny")
    assert caught.value.code is ErrorCode.QUEUE_FULL
    world.end([last], 1.0)
    world.crowd.check("tiny")


def test_of_many_that_come_at_once_no_more_are_let_in_than_may_wait() -> None:
    world = World(most=3)
    world.ask(1)
    with world.crowd.coming("a", "tiny"), world.crowd.coming("other", "other"):
        with world.crowd.coming("b", "tiny"):
            with pytest.raises(MeshError), world.crowd.coming("c", "tiny"):
                pass
            world.crowd.hear("b", queued("b"), 10)
            with pytest.raises(MeshError):
                world.crowd.check("tiny")
        with pytest.raises(MeshError):
            world.crowd.check("tiny")
    world.crowd.check("tiny")


def test_several_that_belong_together_find_room_for_all_or_none() -> None:
    world = World(most=3)
    world.ask(1)
    world.crowd.check("tiny", 2)
    with pytest.raises(MeshError) as refused:
        world.crowd.check("tiny", 3, "n")
    assert (refused.value.code, refused.value.param) == (ErrorCode.QUEUE_FULL, None)


def test_more_than_may_ever_wait_are_refused_for_good() -> None:
    with pytest.raises(MeshError) as refused:
        World(most=3).crowd.check("tiny", 4, "n")
    assert (refused.value.code, refused.value.param) == (ErrorCode.BAD_REQUEST, "n")
    assert "4 can never be" in refused.value.detail


def test_what_is_given_up_while_it_waits_makes_no_pace() -> None:
    world = World()
    for rid in world.ask(50):
        world.now += 0.1
        world.crowd.hear(rid, Failed(uid=rid, code=ErrorCode.DEADLINE_EXCEEDED, detail=""), 100)
    assert world.after(ErrorCode.QUEUE_FULL) == UNKNOWN


def test_the_time_to_wait_follows_the_pace() -> None:
    world = World()
    world.ask(100)
    world.end(world.ask(20), every=0.5)
    quick = world.after(ErrorCode.QUEUE_FULL)
    slow = World()
    slow.ask(100)
    slow.end(slow.ask(20), every=2.0)
    assert quick < slow.after(ErrorCode.QUEUE_FULL) <= LONGEST
    assert quick == pytest.approx(0.05 * 100 / 2, rel=0.1)


def test_a_full_share_waits_for_its_own_requests_to_end() -> None:
    world = World()
    world.ask(100, tenant="greedy")
    world.end(world.ask(20, tenant="other"), every=0.5)
    assert world.after(ErrorCode.SHARE_FULL, tenant="greedy") == UNKNOWN
    world.end(world.ask(10, tenant="greedy"), every=0.5)
    assert world.after(ErrorCode.SHARE_FULL, tenant="greedy") != UNKNOWN


def test_nobody_knows_how_long_it_takes_before_anything_has_ended() -> None:
    world = World()
    world.ask(10)
    assert world.after(ErrorCode.QUEUE_FULL) == UNKNOWN


def test_an_old_pace_is_forgotten() -> None:
    world = World()
    world.end(world.ask(10), every=0.1)
    world.now += 2 * WINDOW
    world.ask(10)
    assert world.after(ErrorCode.QUEUE_FULL) == UNKNOWN


def test_what_is_heard_twice_counts_once() -> None:
    world = World()
    (rid,) = world.ask(1)
    world.crowd.hear(rid, queued(rid), 1)
    world.end([rid], every=1.0)
    world.end([rid], every=1.0)
    assert world.after(ErrorCode.QUEUE_FULL) == pytest.approx(1.0, abs=0.5)
