"""When a program that ended is started again, and when it is given up."""

from mesh.cli.supervise import Restarts


def test_pauses_double_up_to_the_longest() -> None:
    restarts = Restarts(first=1, longest=5, settled=60, most=9)
    assert [restarts.ended(lived=2) for _ in range(5)] == [1, 2, 4, 5, 5]


def test_who_settled_in_starts_with_the_first_pause_again() -> None:
    restarts = Restarts(first=1, longest=5, settled=60, most=9)
    pauses = [restarts.ended(lived=lived) for lived in (2, 2, 61, 2)]
    assert pauses == [1, 2, 1, 2]


def test_a_loop_is_given_up() -> None:
    restarts = Restarts(most=3)
    assert [restarts.ended(lived=0.1) is None for _ in range(3)] == [False, False, True]


def test_rare_ends_are_never_a_loop() -> None:
    restarts = Restarts(settled=20, most=3)
    assert all(restarts.ended(lived=21) is not None for _ in range(50))


def test_who_ends_with_requests_in_hand_waits_but_is_in_no_loop() -> None:
    restarts = Restarts(first=1, longest=5, settled=60, most=3)
    assert [restarts.ended(1, at_work=True) for _ in range(6)] == [1, 2, 4, 5, 5, 5]


def test_a_loop_is_counted_from_the_last_one_with_requests_in_hand_on() -> None:
    restarts = Restarts(settled=60, most=3)
    ends = [False, False, True, False, False, False]
    assert [restarts.ended(1, at_work) is None for at_work in ends] == [False] * 5 + [True]
