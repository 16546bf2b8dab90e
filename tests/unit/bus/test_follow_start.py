"""A follower that starts while its address is being written to."""

import asyncio
from collections.abc import Iterator

import pytest

from mesh.bus.connection import Silence
from mesh.bus.follow import Follower
from mesh.protocol import subjects
from mesh.protocol.frames import Frame
from mesh.protocol.subjects import Writer
from tests.unit.bus.memory import WIRE, Clockwork, MemoryLog

WORKER = Writer("w1", "i")


@pytest.fixture
def loop() -> Iterator[Clockwork]:
    loop = Clockwork()
    yield loop
    loop.close()


def write(log: MemoryLog) -> None:
    log.store(subjects.tokens("gw1", WORKER), Frame([]))


async def begin(log: MemoryLog) -> Follower:
    """Start, and hear a frame before it is known where the log ends."""
    write(log)
    follower = Follower(log.bus, log.js, "gw1")
    starting = asyncio.ensure_future(follower.start())
    await asyncio.sleep(WIRE / 2)
    write(log)
    log.tell(log.wire.pop())
    await starting
    return follower


def test_one_that_cannot_leaves_nothing_behind_that_reads(loop: Clockwork) -> None:
    async def course() -> int:
        log = MemoryLog()
        log.silent = 1
        with pytest.raises(Silence):
            await begin(log)
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert loop.run_until_complete(course()) == 1, "this one"


def test_one_that_can_reads_nothing_of_what_was_before_it(loop: Clockwork) -> None:
    async def course() -> int:
        follower = await begin(MemoryLog())
        await asyncio.sleep(10)
        return follower.fills

    assert loop.run_until_complete(course()) == 0
