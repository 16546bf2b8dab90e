"""What a worker does whose engine fails: which requests it leaves to others, how long it waits."""

import pytest

from mesh.worker.failures import AGAIN, FIRST, LOOK, MOST, OTHERS, Outage, left_for


@pytest.mark.parametrize(
    ("failures", "since", "aside", "delay"),
    [
        (0, None, False, 0.0),
        (1, None, False, 0.0),  # another's engine failed on it
        (0, 0.1, True, 0.0),  # whoever had it since has found nothing amiss
        (1, 0.1, False, AGAIN[0] - 0.1),
        (1, AGAIN[0], False, 0.0),
        (2, 0.1, False, LOOK),
        (2, AGAIN[1] - 0.25, False, 0.25),
        (2, AGAIN[1], False, 0.0),
        (1, 0.1, True, LOOK),
        (1, OTHERS - 0.25, True, 0.25),
        (1, OTHERS, True, 0.0),  # the others are busy, and ours may be well again
        (2, OTHERS, True, LOOK),  # it would be the end of it
        (2, None, True, LOOK),  # as before our process was started again
        (9, 1000.0, True, LOOK),
    ],
)
def test_how_long_a_request_is_left(
    failures: int, since: float | None, aside: bool, delay: float
) -> None:
    assert left_for(failures, since, aside) == pytest.approx(delay)


class Times:
    """A clock that is put on by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def outage(times: Times) -> Outage:
    return Outage(times)


def probe_fails(outage: Outage, times: Times, rid: str) -> float:
    """The next request fails as well: for how long the engine is spared then."""
    times.now += MOST
    outage.begun(rid)
    pause = outage.failed(rid)
    outage.over(rid)
    return pause


def test_a_sound_engine_is_not_spared(outage: Outage) -> None:
    outage.begun("r1")
    assert outage.allowed(3) == 3
    outage.over("r1")
    assert outage.allowed(0) == 0


def test_it_pauses_and_then_tries_one_request_at_a_time(outage: Outage, times: Times) -> None:
    assert outage.failed("r1") == FIRST
    assert outage.allowed(4) == 0
    times.now += FIRST
    assert (outage.allowed(4), outage.allowed(0)) == (1, 0)
    outage.begun("r2")
    assert outage.allowed(3) == 0
    outage.over("r2")  # it was left to others, or cancelled
    assert outage.allowed(4) == 1


def test_what_is_left_to_others_is_not_looked_at_all_the_time(outage: Outage, times: Times) -> None:
    outage.deferred()
    assert outage.allowed(4) == 4
    outage.failed("r1")
    times.now += FIRST
    outage.begun("r2")
    outage.deferred()
    outage.over("r2")
    assert outage.allowed(4) == 0
    times.now += FIRST
    assert outage.allowed(4) == 1


def test_the_pause_doubles_up_to_a_bound(outage: Outage, times: Times) -> None:
    outage.failed("r0")
    pauses = [probe_fails(outage, times, f"r{k}") for k in range(1, 40)]
    assert pauses[:3] == [2 * FIRST, 4 * FIRST, MOST] and set(pauses[3:]) == {MOST}


def test_all_that_fails_at_once_is_one_failure(outage: Outage, times: Times) -> None:
    for rid in ("r1", "r2", "r3"):
        outage.begun(rid)
    assert [outage.failed(rid) for rid in ("r1", "r2", "r3")] == [FIRST, 0.0, 0.0]
    times.now += FIRST
    assert outage.allowed(4) == 1
    assert probe_fails(outage, times, "r4") == 2 * FIRST


def test_an_answer_ends_it(outage: Outage, times: Times) -> None:
    outage.failed("r1")
    probe_fails(outage, times, "r2")
    outage.well()
    assert outage.allowed(4) == 4
    assert outage.failed("r3") == FIRST
