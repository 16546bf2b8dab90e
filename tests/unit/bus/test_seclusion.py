"""When a node of the cluster is left: after some silence, not at once, and ever more seldom."""

import pytest

from mesh.bus.seclusion import FEW, LONGEST, SILENT, Seclusion


class Asking:
    """Somebody who asks every second. other: whether there is another node to go to."""

    def __init__(self, other: bool = True) -> None:
        self.now = 0.0
        self.left: list[float] = []
        self._other = other
        self.seclusion = Seclusion(self._leave, lambda: self.now)

    def _leave(self) -> bool:
        if self._other:
            self.left.append(self.now)
        return self._other

    def in_vain(self, seconds: float, apart: float = 1.0) -> None:
        until = self.now + seconds
        while self.now < until:
            self.seclusion.unanswered()
            self.now += apart


@pytest.fixture
def asking() -> Asking:
    return Asking()


def test_a_node_through_which_nothing_is_answered_is_left(asking: Asking) -> None:
    asking.in_vain(SILENT + 1)
    assert asking.left == [SILENT]


def test_one_answer_in_between_and_it_is_not(asking: Asking) -> None:
    for _ in range(10):
        asking.in_vain(SILENT)
        asking.seclusion.answered()
    assert not asking.left


def test_who_stood_still_does_not_leave_for_what_timed_out_meanwhile(asking: Asking) -> None:
    asking.seclusion.answered()
    asking.now += 100
    for _ in range(10 * FEW):
        asking.seclusion.unanswered()
    asking.now += SILENT / 2
    asking.seclusion.unanswered()
    assert not asking.left


def test_one_long_wait_is_not_enough(asking: Asking) -> None:
    asking.in_vain(2 * SILENT + 1, apart=2 * SILENT)
    assert not asking.left


def test_where_no_node_answers_it_goes_round_ever_more_slowly(asking: Asking) -> None:
    asking.in_vain(1000)
    waits = [after - before for before, after in zip(asking.left, asking.left[1:], strict=False)]
    assert waits[:3] == [2 * SILENT + 1, 4 * SILENT + 1, LONGEST + 1]
    assert set(waits[3:]) == {LONGEST + 1}


def test_an_answer_ends_that_patience(asking: Asking) -> None:
    asking.in_vain(200)
    asking.seclusion.answered()
    asking.left.clear()
    begun = asking.now
    asking.in_vain(SILENT + 1)
    assert asking.left == [begun + SILENT]


def test_a_new_connection_has_its_time(asking: Asking) -> None:
    asking.in_vain(SILENT)
    asking.seclusion.elsewhere()
    asking.in_vain(SILENT)
    assert not asking.left


def test_with_one_address_nothing_is_left() -> None:
    asking = Asking(other=False)
    asking.in_vain(1000)
    assert not asking.left
