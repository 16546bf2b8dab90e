"""Workers are killed one after the other, and nothing else is wrong: how soon others go on.

With the broker's word of each death, and where that word is lost: then by the queue's patience.
MESH_CHAOS_DEATHS says how many are killed; the figures are printed.
"""

import os
from pathlib import Path
from statistics import median

import pytest

from mesh.bus.asking import RETURNING
from tests.chaos.__main__ import report
from tests.chaos.campaign import ACK_WAIT, Campaign, Outcome
from tests.chaos.plan import Ask, Fault, Plan
from tests.chaos.times import spread

DEATHS = int(os.environ.get("MESH_CHAOS_DEATHS", "3"))

SOON = 0.3
"""Seconds from a death to the next claim that are promised at the median, where it is told."""

PATIENCE = ACK_WAIT * 2 / 3
"""Seconds from a death after which the queue hands out again by itself, at the soonest: a worker
renews its items every third of what the queue waits."""

PACE = 0.2
"""Seconds between two requests, each of which takes two: every worker always has some."""


async def deaths(folder: Path, every: float, *missing: str, after_broker: float = 0) -> Outcome:
    """What is seen where a worker is killed every so many seconds. missing: at the gateways;
    after_broker: so many seconds before each the broker is, if any."""
    first = 3.0 + after_broker
    seconds = first + every * DEATHS
    plan = Plan(seed=1, seconds=seconds)
    plan.asks = [Ask(n, PACE * n, "reader", 120, 1) for n in range(int(seconds / PACE))]
    for k in range(DEATHS):
        at = first + every * k
        if after_broker:
            plan.faults.append(Fault(at - after_broker, "kill broker", 0, 0.0))
        plan.faults.append(Fault(at, "kill worker", k, 0.0))
    campaign = Campaign(plan, folder, store=False, without={"gateway": missing}, patience=60.0)
    outcome = await campaign.run()
    assert outcome.verdict.clean and len(outcome.takeovers.alone) >= DEATHS, report(outcome)
    print(f"\n  from {DEATHS} deaths to the next claims: {spread(outcome.takeovers.alone)}")
    return outcome


@pytest.mark.timeout(120 + 5 * DEATHS)
async def test_a_death_that_is_told_costs_a_moment(tmp_path: Path) -> None:
    outcome = await deaths(tmp_path, 3.5)
    assert median(outcome.takeovers.alone) < SOON, report(outcome)
    assert max(outcome.takeovers.alone) < PATIENCE, "the queue's patience moved it, not the word"


@pytest.mark.timeout(120 + 10 * DEATHS)
async def test_a_death_soon_after_the_brokers_return_costs_no_more(tmp_path: Path) -> None:
    """Everybody's connection is young then. Who has come back and parted is not on its way."""
    outcome = await deaths(tmp_path, 7.0, after_broker=RETURNING - 1.5)
    assert median(outcome.takeovers.alone) < SOON, report(outcome)


@pytest.mark.timeout(120 + 10 * DEATHS)
async def test_a_death_that_nobody_tells_costs_the_queues_patience(tmp_path: Path) -> None:
    outcome = await deaths(tmp_path, ACK_WAIT + 3.5, "the-word-of-a-death")
    assert min(outcome.takeovers.alone) > SOON, "somebody told"
    assert max(outcome.takeovers.alone) < ACK_WAIT + 1, report(outcome)
