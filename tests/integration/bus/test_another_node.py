"""Who leaves a node of the broker's comes to another one, whatever addresses the first one has."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.bus.connection import Bus
from tests.conftest import Broker


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Broker, Broker]]:
    """Two brokers with the same users, which know nothing of one another."""
    one, other = Broker(tmp_path / "one"), Broker(tmp_path / "other")
    one.folder.prepare()
    shutil.copytree(one.data_dir, other.data_dir)
    one.start()
    try:
        other.start()
        yield one, other
    finally:
        one.kill()
        other.kill()


async def test_another_address_of_the_same_node_is_passed_over(two: tuple[Broker, Broker]) -> None:
    one, other = two
    addresses = [one.url, f"nats://localhost:{one.port}", other.url]
    bus = await Bus.connect(addresses, *one.credentials("operator"))
    back = asyncio.Event()
    bus.on_doubt(back.set)
    try:
        for _ in range(10):
            node = bus.client._server_info["server_id"]
            back.clear()
            await bus.client.leave()
            await asyncio.wait_for(back.wait(), 30)
            assert bus.client._server_info["server_id"] != node
    finally:
        await bus.close()


async def test_where_there_is_no_other_node_it_comes_back(two: tuple[Broker, Broker]) -> None:
    one, other = two
    addresses = [one.url, f"nats://localhost:{one.port}", other.url]
    bus = await Bus.connect(addresses, *one.credentials("operator"))
    back = asyncio.Event()
    bus.on_doubt(back.set)
    assert bus.client.connected_url is not None
    gone = other if bus.client.connected_url.port == one.port else one
    await asyncio.to_thread(gone.kill)
    try:
        await bus.client.leave()
        await asyncio.wait_for(back.wait(), 30)
        assert bus.connected
    finally:
        await bus.close()


async def test_with_one_address_there_is_nowhere_to_go(two: tuple[Broker, Broker]) -> None:
    one, _ = two
    bus = await Bus.connect([one.url], *one.credentials("operator"))
    try:
        assert not bus.client.may_leave
    finally:
        await bus.close()
