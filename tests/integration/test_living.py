"""Gateways know of one another: who lives, who is gone, who has taken another's name."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.topology import declare
from mesh.gateway import living
from mesh.gateway.living import Living
from mesh.settings import Limits
from tests.conftest import Broker


@pytest.fixture
async def js(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[JetStream]:
    monkeypatch.setattr(living, "EVERY", 0.05)
    bus = await Bus.connect([broker.url], *broker.credentials("gateway"))
    js = JetStream(bus)
    await declare(js, Limits())
    yield js
    await bus.close()


@asynccontextmanager
async def gateway(js: JetStream, name: str) -> AsyncIterator[Living]:
    living = Living(js, name)
    running = asyncio.create_task(living.run())
    yield living
    running.cancel()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.05)


async def test_a_gateway_that_stops_is_gone_and_comes_back(
    js: JetStream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mesh")
    async with gateway(js, "first") as first:
        async with gateway(js, "second"):
            await until(lambda: caplog.messages.count("The gateway second lives") == 2)
            assert not first.gone
        await until(lambda: first.gone == {"second"})
        assert first.gone_for("second") > 0 == first.gone_for("first")
        async with gateway(js, "second"):
            await until(lambda: not first.gone)
            assert not first.gone_for("second")


async def test_who_takes_a_living_ones_name_knows_it_and_touches_nothing(js: JetStream) -> None:
    async with gateway(js, "same") as first:
        await until(first.alone.is_set)
        async with gateway(js, "same") as second:
            await until(second.namesake.is_set)
            assert not second.alone.is_set()
        assert not first.namesake.is_set()


async def test_who_comes_back_under_its_own_name_is_alone(
    js: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(living, "SURE", 1.0)
    async with gateway(js, "same") as first:
        await until(first.alone.is_set)
    async with gateway(js, "same") as second:
        await until(second.alone.is_set)
        assert not second.namesake.is_set()


async def test_who_lost_its_name_while_it_was_paused_is_told(
    js: JetStream, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked dead, so another has taken its name, and is not asked any more."""
    caplog.set_level(logging.ERROR, "mesh")
    async with gateway(js, "same") as first:
        await until(first.alone.is_set)
        monkeypatch.setattr(living, "SURE", -1.0)
        async with gateway(js, "same"):
            first._lease._seq, first._lease._until = 0, 0.0
            await until(lambda: bool(caplog.messages))
    assert "MESH_GATEWAY_NAME" in "".join(caplog.messages)
