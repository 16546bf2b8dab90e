"""A short campaign around three brokers: leaders and followers die, freeze, and are cut off."""

from pathlib import Path

import pytest

from tests.chaos.__main__ import report
from tests.chaos.campaign import SLOTS, Campaign
from tests.chaos.plan import CLUSTER, Fault, draw


@pytest.mark.timeout(400)
async def test_no_answer_is_lost_whatever_befalls_a_cluster(tmp_path: Path) -> None:
    plan = draw(1, 120, 12, 24.0, kinds=CLUSTER)
    plan.faults.insert(0, Fault(2.0, "kill leader", 0, 3.0))
    outcome = await Campaign(plan, tmp_path, cluster=True, slots=SLOTS).run()
    said = report(outcome)
    assert outcome.verdict.clean and not outcome.leftovers, said
    assert outcome.verdict.requests >= 108, said
    assert set(outcome.verdict.ends) <= {"done", "cancelled"}, said
    assert outcome.faults.total() == 13, said
