"""A gateway begins, or says why it cannot; and leaves whenever it is told to."""

import asyncio
import socket

import pytest

from mesh.gateway import app
from mesh.protocol.errors import MeshError
from mesh.settings import GatewaySettings
from tests.conftest import Broker, free_port


def settings(broker: Broker, port: int, nats: str = "") -> GatewaySettings:
    return GatewaySettings(
        data_dir=str(broker.data_dir),
        nats=nats or broker.url,
        gateway_password=broker.credentials("gateway").password,
        port=port,
    )


async def test_a_taken_port_is_named_with_its_setting(broker: Broker) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(MeshError, match=f"port {port}.*MESH_PORT") as caught:
            await app.run(settings(broker, port), asyncio.Event())
    assert "backtrace" not in str(caught.value)


async def test_it_leaves_while_it_still_waits_for_a_broker(broker: Broker) -> None:
    stop = asyncio.Event()
    nowhere = f"nats://127.0.0.1:{free_port()}"
    running = asyncio.create_task(app.run(settings(broker, free_port(), nowhere), stop))
    _, waiting = await asyncio.wait([running], timeout=0.3)
    assert waiting
    stop.set()
    async with asyncio.timeout(60):
        await running


async def test_a_wrong_password_is_said(broker: Broker) -> None:
    wrong = GatewaySettings(
        data_dir=str(broker.data_dir), nats=broker.url, gateway_password="x", port=free_port()
    )
    with pytest.raises(MeshError, match="password"):
        await app.run(wrong, asyncio.Event())
