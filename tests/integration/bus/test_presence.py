"""Who is alive: come, renew, leave, fall silent."""

import asyncio

import pytest
from msgspec.structs import replace

from mesh.bus import presence
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import Fleet, announce, present, withdraw
from mesh.protocol import subjects
from mesh.protocol.worker_info import WorkerInfo
from tests.integration.bus.conftest import Connect

INFO = WorkerInfo(
    name="w1", inc="a", protocol=1, version="0", models=(), slots=1, started=0.0, host="h"
)


async def settled(fleet: Fleet, names: list[str], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while sorted(fleet.workers) != names:
            await asyncio.sleep(0.02)


async def test_a_worker_is_present_until_it_withdraws(
    gateway: Bus, js: JetStream, connect: Connect
) -> None:
    worker, fleet = await connect("w1"), Fleet(gateway, js)
    await fleet.start()
    announcing = asyncio.create_task(announce(worker, lambda: INFO))
    await settled(fleet, ["w1"])
    assert [info.name for info in await present(js)] == ["w1"]
    announcing.cancel()
    await withdraw(worker, "w1")
    await settled(fleet, [])
    assert await present(js) == []


async def test_who_was_there_before_is_known_at_once(
    gateway: Bus, js: JetStream, connect: Connect
) -> None:
    announcing = asyncio.create_task(announce(await connect("w1"), lambda: INFO))
    while not await present(js):
        await asyncio.sleep(0.02)
    announcing.cancel()
    fleet = Fleet(gateway, js)
    await fleet.start()
    assert list(fleet.workers) == ["w1"]


async def test_a_sign_of_life_that_cannot_be_read_hides_no_other(
    gateway: Bus, js: JetStream, connect: Connect
) -> None:
    first, odd = await connect("w1"), await connect("w2")
    fleet = Fleet(gateway, js)
    await fleet.start()
    await odd.publish(subjects.presence("w2"), b'{"type": "worker"}')
    announcing = asyncio.create_task(announce(first, lambda: INFO))
    await settled(fleet, ["w1"])
    announcing.cancel()
    assert [info.name for info in await present(js)] == ["w1"]


async def test_a_silent_worker_is_lost(
    gateway: Bus, js: JetStream, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "PRESENCE_TTL", 0.5)
    fleet = Fleet(gateway, js)
    lost: list[WorkerInfo] = []
    fleet.on_lost = lost.append
    await fleet.start()
    watching = asyncio.create_task(fleet.watch())
    announcing = asyncio.create_task(announce(await connect("w1"), lambda: INFO))
    await settled(fleet, ["w1"])
    announcing.cancel()
    await settled(fleet, [])
    watching.cancel()
    assert [info.name for info in lost] == ["w1"]


async def test_a_worker_that_starts_again_was_lost_in_between(
    gateway: Bus, js: JetStream, connect: Connect
) -> None:
    worker, fleet = await connect("w1"), Fleet(gateway, js)
    lost: list[WorkerInfo] = []
    fleet.on_lost = lost.append
    await fleet.start()
    first = asyncio.create_task(announce(worker, lambda: INFO))
    await settled(fleet, ["w1"])
    first.cancel()
    second = asyncio.create_task(announce(worker, lambda: replace(INFO, inc="b")))
    while not lost:
        await asyncio.sleep(0.02)
    second.cancel()
    assert [info.inc for info in lost] == ["a"]
    assert fleet.workers["w1"].inc == "b"
