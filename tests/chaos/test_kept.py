"""The checker against the database: whatever differs from the log is noticed. Pure."""

import pytest

from mesh.protocol.errors import ErrorCode
from mesh.protocol.messages import Failed
from tests.chaos.checker import Verdict, check
from tests.chaos.kept import Kept, Row, Used, row_of, used_by
from tests.chaos.made_up import story
from tests.chaos.plan import Ask

STORY = story(60, holders=("w1", "w2"), chat=True)
QUESTION = "/repeat #1 alpha beta gamma delta epsilon zeta eta theta iota kappa"
ROW = Row("done", STORY.run.text, 2, None, 3, 60, 0, QUESTION)


def held_against(kept: Kept) -> Verdict:
    return check([STORY], [Ask(1, 0.0, "reader", 60, 5)], [], kept)


def test_exactly_the_log_is_clean() -> None:
    kept = Kept({"r1": ROW}, Used(1, 0, 3, 60, 0))
    assert held_against(kept).clean
    assert kept.settled([STORY])


@pytest.mark.parametrize(
    "other",
    [
        ROW._replace(state="cancelled"),
        ROW._replace(text=ROW.text[:-1]),
        ROW._replace(attempts=1),
        ROW._replace(error="internal"),
        ROW._replace(prompt=4),
        ROW._replace(completion=59),
        ROW._replace(cached=1),
        ROW._replace(question=None),
    ],
)
def test_a_row_that_differs_is_wrong(other: Row) -> None:
    assert held_against(Kept({"r1": other}, Used(1, 0, 3, 60, 0))).counts["wrong"] == 1


def test_a_row_that_is_missing_is_lost() -> None:
    kept = Kept({}, Used(1, 0, 3, 60, 0))
    assert held_against(kept).counts["lost"] == 1
    assert not kept.settled([STORY])


def test_a_row_that_the_log_does_not_have_is_wrong() -> None:
    verdict = held_against(Kept({"r1": ROW, "r2": ROW}, Used(1, 0, 3, 60, 0)))
    assert verdict.counts["wrong"] == 1 and "the database has r2" in verdict.said[0]


def test_what_is_charged_for_is_what_was_said() -> None:
    assert held_against(Kept({"r1": ROW}, Used(1, 0, 3, 59, 0))).counts["wrong"] == 1


def test_a_failure_is_kept_with_its_code() -> None:
    end = Failed(uid="end", code=ErrorCode.WORKER_LOST)
    failed = story(2, end)
    assert failed.run.end is not None
    assert row_of(failed, failed.run.end)[:4] == ("failed", failed.run.text, 1, "worker_lost")
    assert used_by([failed, STORY]) == Used(2, 1, 6, 62, 0)


def test_what_is_still_written_is_not_settled() -> None:
    assert not Kept({"r1": ROW._replace(state="running")}).settled([STORY])
