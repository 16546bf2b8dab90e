"""What is asked for again while it is being done is done once more, and never twice at a time."""

import asyncio

import pytest

from mesh.bus.insisting import Rounds


class Work:
    """Goes on until it is let; `begun` rounds, of which `most` were under way together."""

    def __init__(self) -> None:
        self.begun = self.most = self.under_way = 0
        self.let = asyncio.Event()
        self.fails = False
        self.tasks: list[asyncio.Task[None]] = []
        self.rounds = Rounds(
            self.do, lambda coroutine: self.tasks.append(asyncio.create_task(coroutine))
        )

    async def do(self) -> None:
        self.begun += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.let.wait()
            if self.fails:
                raise RuntimeError("it failed")
        finally:
            self.under_way -= 1


async def test_asked_for_meanwhile_it_is_done_once_more() -> None:
    work = Work()
    for _ in range(5):
        work.rounds.ask()
        await asyncio.sleep(0)
    work.let.set()
    await asyncio.gather(*work.tasks)
    assert (work.begun, work.most) == (2, 1)
    work.rounds.ask()
    await asyncio.gather(*work.tasks)
    assert work.begun == 3


async def test_what_failed_is_done_when_it_is_asked_for_again() -> None:
    work = Work()
    work.fails = True
    work.let.set()
    work.rounds.ask()
    with pytest.raises(RuntimeError):
        await asyncio.gather(*work.tasks)
    work.fails = False
    work.rounds.ask()
    await work.tasks[-1]
    assert work.begun == 2
