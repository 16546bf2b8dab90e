"""Negative controls: with one mechanism taken out, the same trouble is noticed; with it, it is not.

What cannot fail proves nothing. Each plan is one kind of trouble that needs one mechanism.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.chaos.__main__ import report
from tests.chaos.campaign import Campaign, Outcome
from tests.chaos.plan import Ask, Client, Fault, Plan

Without = Mapping[str, Sequence[str]]


def plan(
    asks: int, tokens: int, *faults: Fault, client: Client = "reader", every: float = 0.01
) -> Plan:
    """So many requests, one `every` so many seconds, and these faults."""
    found = Plan(seed=1, seconds=10.0, faults=list(faults))
    found.asks = [Ask(number, every * number, client, tokens, 20) for number in range(asks)]
    return found


PAUSES = [Fault(1.0 + 3.0 * k, "pause worker", k, 2.4) for k in range(3)]
"""Just long enough for another to claim: who was paused wakes up in the middle of its work."""

CUTS = [Fault(1.0 + k, "cut gateway", 0, 0.3) for k in range(3)]
STORE_DEATHS = [Fault(2.0 + 3.5 * k, "kill store", 0, 0) for k in range(4)]


@dataclass(frozen=True)
class Trouble:
    """A plan, the settings it needs, and what its mesh looks like."""

    plan: Plan
    settings: Mapping[str, str] = field(default_factory=dict)
    without: Without = field(default_factory=dict)
    store: bool = False
    gateways: int = 1

    async def run(
        self, folder: Path, without: Without, forgetful: bool = False, patience: float = 25.0
    ) -> Outcome:
        both = {
            kind: [*self.without.get(kind, ()), *without.get(kind, ())]
            for kind in {*self.without, *without}
        }
        campaign = Campaign(
            self.plan,
            folder,
            gateways=self.gateways,
            workers=2,
            store=self.store,
            settings=self.settings,
            without=both,
            forgetful=forgetful,
            patience=patience,
        )
        return await campaign.run()


TRIES = 3
"""How often a trouble may pass a gap by before the check counts as blind."""

HURRIED = 10.0
"""Seconds for which clients wait for an end where what they have read is looked at, and not that
it has an end: without the mechanism much has none."""

IMPATIENT = {"ack_wait": "2"}
ZOMBIES = Trouble(plan(90, 150, *PAUSES, every=0.1), IMPATIENT)
BROKEN_WIRES = Trouble(plan(24, 240, *CUTS))
DEAF = Trouble(plan(24, 60), without={"gateway": ["a-part-of-what-is-republished"]})
UNRENEWED = Trouble(plan(11, 300), IMPATIENT, {"worker": ["renewing"]})
"""An odd number: the queue hands out in turn, and should not come back to the same two by luck."""
DYING_STORE = Trouble(plan(500, 20, *STORE_DEATHS, every=0.03), store=True)
DEATH = Trouble(plan(24, 300, Fault(1.5, "kill worker", 0, 0)))
LEAVING = Trouble(plan(12, 60, client="leaver"))
SLOWNESS = Fault(0.0, "delay gateway", 1, 12.0)
DOUBLES = plan(36, 300, SLOWNESS, client="doubler", every=0.3)
LATE_COPIES = Trouble(DOUBLES, store=True, gateways=2)

TROUBLES = {
    "zombies": ZOMBIES,
    "broken wires": BROKEN_WIRES,
    "messages that are not heard": DEAF,
    "a queue that hands out again": UNRENEWED,
    "a dying store": DYING_STORE,
    "a dying worker": DEATH,
    "clients that leave": LEAVING,
    "copies that come late": LATE_COPIES,
}


def sound(outcome: Outcome) -> bool:
    """Nothing is wrong, and nothing happened that only a lost mechanism explains."""
    in_peace = outcome.faults.total() or outcome.verdict.takeovers == 0
    return bool(outcome.verdict.clean and in_peace and outcome.lost_items == 0)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", TROUBLES)
async def test_the_mesh_gets_through(name: str, tmp_path: Path) -> None:
    outcome = await TROUBLES[name].run(tmp_path, {})
    assert sound(outcome), report(outcome)


def wrong(outcome: Outcome) -> bool:
    return outcome.verdict.wrong > 0


def endless(outcome: Outcome) -> bool:
    return outcome.verdict.never_ended > 0


def doubled(outcome: Outcome) -> bool:
    return outcome.verdict.duplicated > 0


def missing(outcome: Outcome) -> bool:
    return outcome.verdict.lost > 0


def stolen(outcome: Outcome) -> bool:
    return outcome.verdict.takeovers > 0


def stopped(outcome: Outcome) -> bool:
    return any("nobody had asked for that" in said for said in outcome.verdict.said)


def dropped(outcome: Outcome) -> bool:
    return outcome.lost_items > 0


async def provoke(
    trouble: Trouble,
    caught: Callable[[Outcome], bool],
    folder: Path,
    without: Without,
    forgetful: bool = False,
) -> Outcome:
    """Run until the trouble has met the gap: on a busy machine it may pass it by, even twice."""
    patience = HURRIED if caught in (wrong, doubled) else 25.0
    for number in range(TRIES):
        place = folder / str(number)
        place.mkdir()
        outcome = await trouble.run(place, without, forgetful, patience)
        if caught(outcome):
            break
    return outcome


@pytest.mark.timeout(360)
@pytest.mark.parametrize(
    ("trouble", "where", "mechanism", "caught"),
    [
        ("zombies", "gateway", "the-rule-of-the-latest-claim", wrong),
        ("zombies", "worker", "the-expected-sequences", doubled),
        ("broken wires", "gateway", "gap-filling", endless),
        ("messages that are not heard", "gateway", "the-look-at-the-end", endless),
        ("a queue that hands out again", "worker", "asking-before-stealing", stolen),
        ("a dying store", "store", "the-cursor-in-its-transaction", missing),
        ("a dying worker", "worker", "acknowledging-after-the-end", dropped),
        ("copies that come late", "gateway", "heed-of-ones-own-answer", stopped),
    ],
)
async def test_without_the_mechanism_it_is_noticed(
    trouble: str,
    where: str,
    mechanism: str,
    caught: Callable[[Outcome], bool],
    tmp_path: Path,
) -> None:
    outcome = await provoke(TROUBLES[trouble], caught, tmp_path, {where: [mechanism]})
    assert caught(outcome), report(outcome)
    assert not sound(outcome)


@pytest.mark.timeout(360)
async def test_a_client_that_ignores_ids_is_noticed(tmp_path: Path) -> None:
    outcome = await provoke(LEAVING, doubled, tmp_path, {}, forgetful=True)
    assert doubled(outcome), report(outcome)
