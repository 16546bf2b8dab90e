"""A request that takes its workers down reaches no more of them than it may, however it does it."""

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from mesh.protocol.events import Claim, Queued
from mesh.protocol.frames import Entry
from mesh.protocol.poison import Bounds, at_last_place, blamed
from mesh.protocol.request import Request
from mesh.protocol.run import Run
from mesh.protocol.subjects import Writer

REQUEST = Request(
    rid="r", reply="gw1", tenant="t", model="m", messages=(), created=0.0, deadline=1.0
)
bounds = st.builds(Bounds, st.integers(1, 4), st.integers(1, 8))
progress = st.lists(st.integers(0, 2), min_size=20, max_size=20)
"""Pieces that each holder writes before it is lost."""


def claim(run: Run, n: int, lost: bool) -> Writer:
    writer = Writer(f"w{n}", "a")
    event = Claim(uid=f"c{n}", n=n, item=1, ack_reply="", model="m", lost=lost)
    run.event(event, writer, run.last + 1)
    return writer


def begun() -> Run:
    run = Run()
    run.event(Queued(uid="q", request=REQUEST), Writer("gateway", "a"), 1)
    return run


def killed(run: Run, written: list[int], most: Bounds) -> list[int]:
    """How far each holder came whose engine was shown the request, if it kills all of them."""
    places = []
    for n, count in enumerate(written, 1):
        writer = claim(run, n, lost=n > 1)
        if blamed(at_last_place(run.losses), len(run.losses), most):
            break
        if count:
            run.entry(Entry("r", n, len(run.texts), ["x"] * count, None), writer)
        places.append(len(run.texts))
    return places


@given(bounds, progress)
def test_what_kills_all_its_holders_reaches_so_many_and_no_more(
    most: Bounds, written: list[int]
) -> None:
    places = killed(begun(), written, most)
    longest = max(len(list(same)) for _, same in groupby(places))
    assert len(places) <= most.in_all and longest <= most.in_a_row
    assert len(places) == most.in_all or longest == most.in_a_row, "nor fewer"


@given(bounds, st.lists(st.booleans(), max_size=20))
def test_who_left_in_order_is_no_loss(most: Bounds, losses: list[bool]) -> None:
    run = begun()
    for n, lost in enumerate(losses, 1):
        claim(run, n, lost)
    assert bool(blamed(at_last_place(run.losses), len(run.losses), most)) == (
        sum(losses[1:]) >= min(most)
    )


def test_two_at_one_place_are_enough_and_progress_is_forgiven_for_a_while() -> None:
    usual = Bounds(2, 5)
    assert killed(begun(), [0] * 20, usual) == [0, 0]
    assert killed(begun(), [3, 0] * 10, usual) == [3, 3]
    assert killed(begun(), [1] * 20, usual) == [1, 2, 3, 4, 5]
