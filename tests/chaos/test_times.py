"""Which of the times of a campaign are told, and whether alone or amid other trouble. Pure."""

import pytest

from mesh.protocol.events import Cancelled
from tests.chaos.ends import Known
from tests.chaos.faults import RECOVERY, Window
from tests.chaos.made_up import ASKED, ENDED, story, trouble
from tests.chaos.times import Times, obeyed, ran_on, silent

TAKEN_OVER = story(60, holders=("w1", "w2"))
"""The second claim is a second behind the first."""

FROZEN = trouble("w1", "freeze worker", ASKED + 0.5, ASKED + 9 + RECOVERY)


def test_a_frozen_worker_is_taken_over_from_without_a_word() -> None:
    assert silent([TAKEN_OVER], [FROZEN]) == Times(alone=[0.5])


@pytest.mark.parametrize(
    "other",
    [
        trouble("w1", "kill worker", ASKED + 0.5, ASKED + 9),
        trouble("w2", "freeze worker", ASKED + 0.5, ASKED + 9),
        trouble("w1", "freeze worker", ASKED + 1.5, ASKED + 9),
        trouble("w1", "freeze worker", ASKED + 0.5, ASKED + 0.9 + RECOVERY),
    ],
    ids=["killed", "another", "later", "woken before"],
)
def test_nobody_else_is(other: Window) -> None:
    assert silent([TAKEN_OVER], [other]) == Times()


@pytest.mark.parametrize(
    ("name", "kind", "amid"),
    [
        ("broker", "kill broker", True),
        ("gw1", "pause gateway", True),
        ("w2", "cut worker", True),
        ("w3", "cut worker", False),
        ("broker", "freeze broker", True),
        ("store", "kill store", False),
        ("store", "freeze store", False),
        ("store", "sever store", False),
        ("w2", "clock of worker", False),
    ],
)
def test_what_bears_on_a_take_over(name: str, kind: str, amid: bool) -> None:
    found = silent([TAKEN_OVER], [FROZEN, trouble(name, kind)])
    assert found == (Times(amid=[0.5]) if amid else Times(alone=[0.5]))


def test_hanging_up_stopping_and_running_on_are_told_apart() -> None:
    known = Known(hung_up={1: ASKED + 0.5})
    hung_up, stopped = (story(9, Cancelled(uid="end"), chat=chat) for chat in (False, True))
    done = story(60)
    every = [hung_up, stopped, done]
    for chats in (False, True):
        assert obeyed(every, known, chats) == Times(alone=[ENDED - ASKED - 0.5])
    assert ran_on(every, known) == Times(alone=[0.5])


def test_who_has_not_hung_up_is_not_told() -> None:
    assert obeyed([story(9, Cancelled(uid="end"))], Known(), chats=False) == Times()
