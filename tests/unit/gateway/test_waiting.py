"""The waiting room: true places, whoever comes, leaves, is cancelled or forgotten."""

from mesh.gateway.waiting import WaitingRoom
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancelled, Claim, Done, Failed, Queued
from mesh.protocol.request import Request


def queued(rid: str, model: str = "tiny", deadline: float = 100.0) -> Queued:
    request = Request(
        rid=rid, reply="gw1", tenant="u", model=model, messages=(), created=0.0, deadline=deadline
    )
    return Queued(uid=rid, request=request)


CLAIM = Claim(uid="c", n=1, item=1, ack_reply="", model="tiny")


def room(*rids: str) -> WaitingRoom:
    room = WaitingRoom(clock=lambda: 0.0)
    for seq, rid in enumerate(rids, 1):
        room.hear(rid, queued(rid), seq)
    return room


def places(room: WaitingRoom, *rids: str) -> list[tuple[int, int]]:
    return [room.place(rid, "tiny") for rid in rids]


def test_those_who_came_first_are_first() -> None:
    assert places(room("a", "b", "c"), "a", "b", "c") == [(0, 3), (1, 3), (2, 3)]


def test_who_is_heard_of_late_still_stands_where_the_log_has_it() -> None:
    line = room("a")
    line.hear("c", queued("c"), 7)
    line.hear("b", queued("b"), 3)
    assert places(line, "a", "b", "c") == [(0, 3), (1, 3), (2, 3)]


def test_who_is_claimed_or_has_ended_waits_no_more() -> None:
    for event in (
        CLAIM,
        Cancelled(uid="x"),
        Done(uid="x", finish="stop"),
        Failed(uid="x", code=ErrorCode.QUEUE_FULL),
    ):
        line = room("a", "b", "c")
        line.hear("b", event, 9)
        assert places(line, "a", "c") == [(0, 2), (1, 2)]


def test_a_claim_twice_changes_nothing() -> None:
    line = room("a", "b")
    for _ in range(2):
        line.hear("a", CLAIM, 9)
    assert places(line, "b") == [(0, 1)]


def test_each_model_has_its_own_line() -> None:
    line = room("a")
    line.hear("x", queued("x", model="huge"), 9)
    assert (line.place("x", "huge"), line.size("huge"), line.size("none")) == ((0, 1), 1, 0)


def test_one_that_was_not_heard_of_yet_is_the_last() -> None:
    assert places(room("a", "b"), "new") == [(2, 3)]


def test_who_is_past_the_deadline_counts_no_more() -> None:
    now = 0.0
    line = WaitingRoom(clock=lambda: now)
    line.hear("a", queued("a", deadline=10.0), 1)
    line.hear("b", queued("b", deadline=20.0), 2)
    assert line.place("b", "tiny") == (1, 2)
    now = 15.0
    assert line.place("b", "tiny") == (0, 1)
