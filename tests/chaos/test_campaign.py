"""Short campaigns with fixed seeds: whatever dies, nothing is lost, doubled or left without end."""

from pathlib import Path

import pytest

from mesh.bus.topology import LEASE_TTL
from mesh.gateway.living import EVERY, MISSED
from tests.chaos.__main__ import report
from tests.chaos.campaign import ACK_WAIT, BUNDLED, SECOND_MODEL, SLOTS, Campaign
from tests.chaos.ends import HEARD
from tests.chaos.plan import (
    CLIENTS,
    CLUSTER,
    FAULTS,
    LONG,
    LONG_CLIENTS,
    LONG_CLUSTER,
    SPANS,
    draw,
)
from tests.chaos.small_disk import small_disk


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [1, 2])
async def test_no_answer_is_lost_whatever_dies(seed: int, tmp_path: Path) -> None:
    plan = draw(seed, 400, 60, 60.0, SECOND_MODEL)
    campaign = Campaign(plan, tmp_path, model_workers=BUNDLED, small_disks=True, slots=SLOTS)
    outcome = await campaign.run()
    said = report(outcome)
    assert outcome.verdict.clean and not outcome.leftovers, said
    assert outcome.verdict.requests >= 360, said
    assert set(outcome.verdict.ends) <= {"done", "cancelled"}, said
    assert set(outcome.verdict.models) == {"echo", SECOND_MODEL}, said
    assert all(seconds < ACK_WAIT + 1 for seconds in outcome.takeovers.alone), said
    assert all(seconds < ACK_WAIT + 1 for seconds in outcome.silent.alone), said
    assert all(seconds < HEARD for seconds in outcome.hang_ups.alone), said
    assert outcome.faults.total() + outcome.left_out.total() == 60, said


def test_the_disks_of_these_campaigns_can_be_full(tmp_path: Path) -> None:
    """Where they cannot, a campaign goes on without: this one is skipped then, and says why."""
    with small_disk(tmp_path / "small", 1 << 20) as disk:
        disk.fill(leaving=0)
        with pytest.raises(OSError, match="No space left on device"):
            (disk.inside / "more").write_bytes(bytes(1 << 16))


def test_a_seed_draws_the_same_plan_again() -> None:
    assert draw(5, 300, 50, 60.0) == draw(5, 300, 50, 60.0) != draw(6, 300, 50, 60.0)


def test_every_kind_of_fault_is_drawn() -> None:
    assert {fault.kind for fault in draw(1, 1, 3000, 60.0).faults} == set(FAULTS)
    long = draw(1, 1, 6000, 60.0, long=True)
    assert {fault.kind for fault in long.faults} == {*FAULTS, *LONG}
    cluster = draw(1, 1, 3000, 60.0, kinds=CLUSTER | LONG_CLUSTER)
    assert {fault.kind for fault in cluster.faults} == {*CLUSTER, *LONG_CLUSTER}
    assert {*FAULTS, *LONG, *CLUSTER, *LONG_CLUSTER} == set(SPANS)


def test_every_kind_of_client_is_drawn() -> None:
    assert {ask.client for ask in draw(1, 3000, 1, 60.0).asks} == set(CLIENTS)
    long = draw(1, 3000, 1, 60.0, long=True)
    assert {ask.client for ask in long.asks} == {*CLIENTS, *LONG_CLIENTS}


def test_doublers_ask_while_a_gateway_is_slow() -> None:
    plan = draw(1, 3000, 300, 600.0, long=True)
    slow = [fault for fault in plan.faults if fault.kind == "delay gateway"]
    doublers = [ask for ask in plan.asks if ask.client == "doubler"]
    assert doublers and slow
    for ask in doublers:
        assert any(fault.at <= ask.at <= fault.at + fault.seconds for fault in slow)


def test_who_is_frozen_or_severed_is_so_for_longer_than_the_queue_waits() -> None:
    lasting = {kind for kind in SPANS if kind.split()[0] in ("freeze", "sever")}
    assert {kind.split()[1] for kind in lasting} == {"worker", "gateway", "store", "broker"}
    for kind in lasting:
        assert SPANS[kind][0] > ACK_WAIT


def test_a_frozen_gateway_is_so_until_the_others_call_it_gone() -> None:
    assert SPANS["freeze gateway"][0] > LEASE_TTL + MISSED * EVERY
