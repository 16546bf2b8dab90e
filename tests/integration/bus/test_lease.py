"""A lease is held by one at a time, and passes on when its holder is gone."""

import asyncio

from mesh.bus.jetstream import JetStream
from mesh.bus.lease import Lease
from mesh.bus.topology import LEASE_TTL
from tests.conftest import Broker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_one_of_many_holds_it_and_renews_it(js: JetStream) -> None:
    leases = [Lease(js, "job", f"gw{k}") for k in range(8)]
    first = await asyncio.gather(*(lease.hold() for lease in leases))
    assert sum(first) == 1
    assert await asyncio.gather(*(lease.hold() for lease in leases)) == first


async def test_leases_of_other_names_are_others(js: JetStream) -> None:
    assert await Lease(js, "one", "gw1").hold()
    assert await Lease(js, "two", "gw2").hold()


async def test_a_holder_who_hears_nothing_lets_go_in_time(js: JetStream, broker: Broker) -> None:
    clock = Clock()
    lease = Lease(js, "job", "gw1", clock)
    while not await lease.hold():  # on a busy machine the broker may say nothing for a while
        pass
    broker.pause()
    js.timeout = 0.2
    clock.now += LEASE_TTL / 2
    assert await lease.hold(), "for a while nobody else can have it"
    clock.now += LEASE_TTL / 2
    assert not await lease.hold()
    broker.resume()


async def test_a_lease_outlives_the_broker(js: JetStream, broker: Broker) -> None:
    first, second = Lease(js, "job", "gw1"), Lease(js, "job", "gw2")
    assert await first.hold() and not await second.hold()
    reconnected = asyncio.Event()
    js.bus.on_doubt(reconnected.set)
    broker.kill()
    broker.start()
    await asyncio.wait_for(reconnected.wait(), 60)
    assert not await second.hold()
    assert await first.hold()


async def test_a_lease_that_is_not_renewed_passes_on(js: JetStream) -> None:
    first, second = Lease(js, "job", "gw1"), Lease(js, "job", "gw2")
    assert await first.hold()
    async with asyncio.timeout(2 * LEASE_TTL):
        while not await second.hold():
            await asyncio.sleep(0.2)
    assert not await first.hold()
    assert await second.hold()
