"""The time in the mesh: what a process makes of what it was told, whatever its own clock says."""

import time
from types import SimpleNamespace

import pytest

from mesh.bus import clock as clock_module
from mesh.bus.clock import Clock

HOUR = 3600.0


class Machine:
    """A machine whose clock is `ahead` of the broker's; `true` is the broker's time.

    way: seconds that a question takes to the broker, and the answer back.
    """

    def __init__(self, ahead: float = 0.0) -> None:
        self.true = 1_000_000.0
        self.ahead = ahead
        self.way = (0.0, 0.0)
        self.clock = Clock(own=lambda: self.true + self.ahead, ticks=lambda: self.true - 7.0)

    async def ask(self) -> float:
        there, back = self.way
        self.true += there
        told = self.true
        self.true += back
        return told

    async def silent(self) -> float:
        return 0.0


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
async def test_it_is_the_brokers_time_whatever_the_machines_clock_says(ahead: float) -> None:
    machine = Machine(ahead)
    await machine.clock.learn(machine.ask)
    assert machine.clock() == machine.true
    machine.true += 60.0
    assert machine.clock() == machine.true


async def test_it_is_the_machines_time_as_long_as_nobody_says_another() -> None:
    machine = Machine(HOUR)
    await machine.clock.learn(machine.silent)
    assert machine.clock() == machine.true + HOUR


async def test_a_clock_that_is_set_meanwhile_changes_nothing() -> None:
    machine = Machine()
    await machine.clock.learn(machine.ask)
    machine.ahead = HOUR
    assert machine.clock() == machine.true


@pytest.mark.parametrize("way", [(2.0, 0.0), (0.0, 2.0), (1.0, 1.0)])
async def test_it_is_off_by_half_of_the_way_at_most(way: tuple[float, float]) -> None:
    machine = Machine(HOUR)
    machine.way = way
    await machine.clock.learn(machine.ask)
    assert abs(machine.clock() - machine.true) <= 1.0


async def test_an_answer_that_took_long_does_not_spoil_what_is_known() -> None:
    machine = Machine(HOUR)
    await machine.clock.learn(machine.ask)
    machine.way = (4.0, 0.0)
    await machine.clock.learn(machine.ask)
    assert machine.clock() == machine.true


async def test_a_brokers_clock_that_was_set_is_followed() -> None:
    machine = Machine()
    await machine.clock.learn(machine.ask)

    async def ask() -> float:
        return await machine.ask() + HOUR

    await machine.clock.learn(ask)
    assert machine.clock() == machine.true + HOUR


class Sleeper:
    """What the system says of the time on a machine that sleeps; `true` is the broker's time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.true = 1_000_000.0
        self.awake = 50.0
        system = SimpleNamespace(monotonic=lambda: self.awake, clock_gettime=self._gettime)
        monkeypatch.setattr(clock_module, "time", system)

    def _gettime(self, clock: int) -> float:
        assert clock == time.CLOCK_BOOTTIME
        return self.true - 7.0

    async def ask(self) -> float:
        return self.true


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="a system without that clock")
async def test_a_machine_that_has_slept_knows_the_time_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Sleeper(monkeypatch)
    clock = Clock()
    await clock.learn(machine.ask)
    machine.true += HOUR
    assert clock() == machine.true


async def test_a_system_without_such_a_clock_counts_as_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Sleeper(monkeypatch)
    monkeypatch.setattr(clock_module, "_UNSLEEPING", None)
    clock = Clock()
    await clock.learn(machine.ask)
    machine.awake += 60.0
    assert clock() == 1_000_060.0


@pytest.mark.parametrize("refused", [False, True])
def test_a_clock_that_the_system_knows_by_name_only_is_not_used(
    monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    def gettime(clock: int) -> float:
        raise OSError("Invalid argument")

    named = {"CLOCK_BOOTTIME": 7, "CLOCK_MONOTONIC_RAW": 4} if refused else {}
    monkeypatch.setattr(clock_module, "time", SimpleNamespace(clock_gettime=gettime, **named))
    assert clock_module._unsleeping() is None
