"""A gateway that doubts declares the streams again: one at a time, however often it doubts."""

import asyncio
from pathlib import Path

import pytest

from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.gateway import wiring
from mesh.settings import GatewaySettings, Limits
from tests.conftest import Broker

DOUBTS = 5
SOON = 30.0
"""Seconds in which a gateway on a busy machine notices."""


async def test_a_gateway_in_doubt_declares_once_at_a_time_and_once_more(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, password = broker.credentials("gateway")
    settings = GatewaySettings(
        data_dir=str(tmp_path), nats=broker.url, gateway_password=password, token_secret="s" * 64
    )
    bus = await Bus.connect([broker.url], name, password)
    services = await wiring.wire(settings, bus)
    begun, under_way, let = 0, [0], asyncio.Event()

    async def declare(js: JetStream, limits: Limits) -> None:
        nonlocal begun
        begun += 1
        under_way.append(under_way[-1] + 1)
        await let.wait()
        under_way.append(under_way[-1] - 1)

    monkeypatch.setattr(wiring, "declare", declare)
    try:
        for _ in range(DOUBTS):
            bus.doubt()
            await asyncio.sleep(0.05)
        let.set()
        async with asyncio.timeout(SOON):
            while begun < 2:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
    finally:
        await services.requests.close()
        await bus.close()
    assert (begun, max(under_way)) == (2, 1)
