"""A log that is said to end earlier than it did: when that is believed, and when it is not."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from mesh.bus.connection import Silence
from mesh.bus.log_end import ANSWERS, LASTS, Head, LogEnd, Outdated
from tests.unit.bus.memory import Clockwork, MemoryLog

T = TypeVar("T")


class World:
    """A log of ten messages, and one who has asked where it ends."""

    def __init__(self) -> None:
        self.loop = Clockwork()
        self.log = MemoryLog()
        self.log.seq = 10
        self.end = LogEnd(self.log.js)
        assert self.ask() == Head("once", 10)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def ask(self) -> Head:
        return self.do(self.end.ask())

    def is_outdated(self) -> bool:
        try:
            self.ask()
        except Outdated:
            return True
        return False


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.loop.close()


def test_an_earlier_end_is_not_believed_as_long_as_it_does_not_last(world: World) -> None:
    world.log.old = 1
    for _ in range(int(LASTS) - 1):
        assert world.is_outdated()
        world.do(asyncio.sleep(1.0))
    world.log.old = 0
    assert world.ask().last == 10
    world.log.old = 1
    assert world.is_outdated()
    assert not world.end.lost


def test_one_that_lasts_is_believed(world: World) -> None:
    world.log.old = 3
    for _ in range(int(LASTS)):
        assert world.is_outdated()
        world.do(asyncio.sleep(1.0))
    assert world.ask().last == 7
    assert world.end.lost and world.end.known == 7


def test_time_in_which_nobody_asked_does_not_count(world: World) -> None:
    world.log.old = 3
    for _ in range(ANSWERS - 1):
        assert world.is_outdated()
        world.do(asyncio.sleep(LASTS))


def test_answers_with_silence_between_them_are_not_in_a_row(world: World) -> None:
    """A cluster in which nobody leads is finding together: that is when it says such things."""
    world.log.old = 3
    assert world.is_outdated()
    for _ in range(int(LASTS)):
        world.log.silent = 1
        with pytest.raises(Silence):
            world.ask()
        world.do(asyncio.sleep(1.0))
    for _ in range(ANSWERS):
        assert world.is_outdated()
        world.do(asyncio.sleep(0.2))


def test_a_log_that_was_made_anew_is_known_at_once(world: World) -> None:
    world.log.created, world.log.seq = "again", 2
    assert world.ask() == Head("again", 2)
    assert world.end.lost
    world.end.lost = False
    world.log.seq = 3
    assert world.ask().last == 3
    assert not world.end.lost


def test_what_was_heard_of_is_known(world: World) -> None:
    world.end.heard(12)
    assert world.is_outdated()
    world.log.seq = 12
    assert world.ask().last == 12


def test_what_is_heard_of_while_it_is_asked_does_not_belie_the_answer(world: World) -> None:
    async def ask() -> Head:
        asking = asyncio.create_task(world.end.ask())
        await asyncio.sleep(0)
        world.end.heard(11)
        return await asking

    assert world.do(ask()).last == 10
    assert world.end.known == 11
