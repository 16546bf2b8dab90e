"""Connections to a real broker whose streams are declared."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from mesh.bus.appender import new_uid
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.topology import declare
from mesh.protocol.request import Request
from mesh.settings import Limits
from tests.conftest import Broker

Connect = Callable[[str], Awaitable[Bus]]


@pytest.fixture
async def connect(broker: Broker) -> AsyncIterator[Connect]:
    """Connect as a broker user; closed after the test."""
    opened: list[Bus] = []

    async def connect(user: str) -> Bus:
        name, password = broker.credentials(user)
        bus = await Bus.connect([broker.url], name, password, f"test {user}")
        opened.append(bus)
        return bus

    yield connect
    for bus in opened:
        await bus.close()


@pytest.fixture
async def gateway(connect: Connect) -> Bus:
    """A gateway's connection; the streams exist."""
    bus = await connect("gateway")
    await declare(JetStream(bus), Limits())
    return bus


@pytest.fixture
def js(gateway: Bus) -> JetStream:
    return JetStream(gateway)


def a_request(rid: str = "", model: str = "m", reply: str = "gw1") -> Request:
    """A request with nothing special about it."""
    return Request(
        rid=rid or new_uid(),
        reply=reply,
        tenant="t",
        model=model,
        messages=(),
        created=0.0,
        deadline=4e9,
    )
