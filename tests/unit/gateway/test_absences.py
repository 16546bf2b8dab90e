"""When a gateway counts as gone, and when nobody awaits it any more: by looks, not by a clock."""

import pytest

from mesh.bus.appender import new_uid
from mesh.gateway import living
from mesh.gateway.living import Absences
from mesh.gateway.sweeper import forsaken
from mesh.protocol.events import Queued
from mesh.protocol.run import Run
from mesh.settings import GatewaySettings
from tests.integration.bus.conftest import a_request

PATIENCE = GatewaySettings().orphan_timeout
BOTH, ONE = {"gw1", "gw2"}, {"gw1"}


def missing_for(seconds: float) -> Absences:
    """What a gateway has seen that looked for so long at one that is frozen, or killed."""
    absences = Absences()
    absences.look(BOTH)
    for _ in range(round(seconds / living.EVERY)):
        absences.look(ONE)
    return absences


def a_run(body: str = "") -> Run:
    run = Run(bare=True)
    run.queued = Queued(uid=new_uid(), request=a_request(reply="gw2"), body=body)
    return run


@pytest.mark.parametrize("seconds", [10, 20, 40, 58])
def test_a_gateway_that_stood_still_finds_the_answers_that_its_clients_still_read(
    seconds: float,
) -> None:
    """Others go on with its runs meanwhile; nobody cancels what only it can serve."""
    absences = missing_for(seconds)
    assert absences.gone == {"gw2"}
    assert not forsaken(a_run(), absences.gone_for, PATIENCE)
    assert absences.look(BOTH) == set()
    assert absences.gone == set()
    for _ in range(20):
        absences.look(ONE)
    assert not forsaken(a_run(), absences.gone_for, PATIENCE), "what it missed before is forgotten"


def test_what_nobody_can_read_on_is_given_up_with_a_gateway_that_does_not_return() -> None:
    absences = missing_for(PATIENCE)
    assert forsaken(a_run(), absences.gone_for, PATIENCE)
    assert not forsaken(a_run(body="a key's"), absences.gone_for, PATIENCE)


def test_without_patience_it_still_has_to_be_gone() -> None:
    assert not forsaken(a_run(), missing_for(6).gone_for, 0.0)
    assert forsaken(a_run(), missing_for(8).gone_for, 0.0)


def test_whom_nobody_has_ever_seen_is_not_gone() -> None:
    absences = Absences()
    assert absences.look(ONE) == ONE
    assert not forsaken(a_run(), absences.gone_for, 0.0)


def test_of_many_that_came_and_went_the_last_ones_are_remembered() -> None:
    absences = Absences()
    for k in range(living.REMEMBERED + 50):
        assert absences.look({"gw1", f"x{k}"}) == {f"x{k}", "gw1"} - ({"gw1"} if k else set())
    absences.look(ONE)
    assert absences.gone_for("x7") == 0.0, "it is forgotten"
    assert absences.gone_for(f"x{living.REMEMBERED}") > 0
    assert len(absences.gone) == living.REMEMBERED - living.MISSED
    assert "gw1" not in absences.gone


def test_all_that_live_are_remembered_however_many_they_are() -> None:
    absences, many = Absences(), {f"x{k}" for k in range(living.REMEMBERED + 50)}
    assert absences.look(many) == many
    assert absences.look(many) == set()


def test_who_owns_something_and_was_never_seen_is_gone_when_it_was_missing_for_as_long() -> None:
    absences = Absences()
    absences.look(ONE)
    for _ in range(round(PATIENCE / living.EVERY) - 1):
        absences.expect(BOTH)
        absences.look(ONE)
    assert absences.gone == {"gw2"}
    assert not forsaken(a_run(), absences.gone_for, PATIENCE)
    absences.look(ONE)
    assert forsaken(a_run(), absences.gone_for, PATIENCE)


def test_who_owns_something_and_is_seen_then_lives() -> None:
    absences = Absences()
    absences.expect(BOTH)
    for _ in range(20):
        absences.look(ONE)
    assert absences.look(BOTH) == {"gw2"}, "it is new"
    absences.expect(BOTH)
    assert absences.gone == absences.look(BOTH) == set()
