"""When a broker whose disk was full is started again, and how often."""

import asyncio
from pathlib import Path

from mesh.cli.room import Room

FULL = "[ERR] JetStream failed to store a msg: write msgs/1.blk: no space left on device"


async def test_what_a_broker_says_while_it_leaves_does_not_start_it_once_more(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    room = Room(tmp_path, said.append)
    started = asyncio.Event()

    async def start_again() -> None:
        room.hear(FULL)
        started.set()

    watching = asyncio.create_task(room.watch(start_again))
    for again in range(1, 3):
        room.hear(FULL)
        async with asyncio.timeout(30):
            await started.wait()
        started.clear()
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(said) == 2 * again
    assert not started.is_set()
    watching.cancel()
