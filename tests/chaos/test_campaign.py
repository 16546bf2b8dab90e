"""Short campaigns with fixed seeds: whatever dies, nothing is lost, doubled or left without end."""

from pathlib import Path

import pytest

from tests.chaos.__main__ import report
from tests.chaos.campaign import ACK_WAIT, Campaign
from tests.chaos.plan import FAULTS, draw


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [1, 2])
async def test_no_answer_is_lost_whatever_dies(seed: int, tmp_path: Path) -> None:
    plan = draw(seed, requests=400, faults=60, seconds=60.0)
    outcome = await Campaign(plan, tmp_path).run()
    said = report(outcome)
    assert outcome.verdict.clean and not outcome.leftovers, said
    assert outcome.verdict.requests >= 360, said
    assert set(outcome.verdict.ends) <= {"done", "cancelled"}, said
    assert all(seconds < ACK_WAIT + 1 for seconds in outcome.takeovers), said
    assert outcome.faults.total() == 60, said


def test_a_seed_draws_the_same_plan_again() -> None:
    assert draw(5, 300, 50, 60.0) == draw(5, 300, 50, 60.0) != draw(6, 300, 50, 60.0)


def test_every_kind_of_fault_is_drawn() -> None:
    assert {fault.kind for fault in draw(1, 1, 2000, 60.0).faults} == set(FAULTS)
