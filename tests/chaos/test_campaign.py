"""Short campaigns with fixed seeds: whatever dies, nothing is lost, doubled or left without end."""

from pathlib import Path

import pytest

from tests.chaos.__main__ import report
from tests.chaos.campaign import ACK_WAIT, BUNDLED, SECOND_MODEL, Campaign
from tests.chaos.plan import FAULTS, SPANS, draw


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [1, 2])
async def test_no_answer_is_lost_whatever_dies(seed: int, tmp_path: Path) -> None:
    plan = draw(seed, 400, 60, 60.0, SECOND_MODEL)
    campaign = Campaign(plan, tmp_path, model_workers=BUNDLED, small_disks=True)
    outcome = await campaign.run()
    said = report(outcome)
    assert outcome.verdict.clean and not outcome.leftovers, said
    assert outcome.verdict.requests >= 360, said
    assert set(outcome.verdict.ends) <= {"done", "cancelled"}, said
    assert set(outcome.verdict.models) == {"echo", SECOND_MODEL}, said
    assert all(seconds < ACK_WAIT + 1 for seconds in outcome.takeovers.alone), said
    assert outcome.faults.total() + outcome.left_out.total() == 60, said


def test_a_seed_draws_the_same_plan_again() -> None:
    assert draw(5, 300, 50, 60.0) == draw(5, 300, 50, 60.0) != draw(6, 300, 50, 60.0)


def test_every_kind_of_fault_is_drawn() -> None:
    assert {fault.kind for fault in draw(1, 1, 3000, 60.0).faults} == set(FAULTS) == set(SPANS)


def test_who_is_frozen_is_so_for_longer_than_the_queue_waits() -> None:
    assert SPANS["freeze worker"][0] > ACK_WAIT
