"""The time in the mesh: what a process makes of what it was told, whatever its own clock says."""

import pytest

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
