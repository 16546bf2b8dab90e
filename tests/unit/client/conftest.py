"""What the client's tests share: a scripted gateway, and clients that keep nothing on disk."""

from collections.abc import AsyncIterator, Iterator

import pytest

from mesh_client import AsyncClient, Client, MemoryStore, Retry
from tests.unit.client.scripted_gateway import ScriptedGateway

QUICK = Retry(stream_patience=5.0, call_patience=3.0, first=0.005, longest=0.02)


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    with ScriptedGateway().running() as gateway:
        yield gateway


@pytest.fixture
def client(gateway: ScriptedGateway) -> Iterator[Client]:
    with Client(gateway.url, username="ada", store=MemoryStore(), retry=QUICK) as client:
        yield client


@pytest.fixture
async def async_client(gateway: ScriptedGateway) -> AsyncIterator[AsyncClient]:
    client = AsyncClient(gateway.url, username="ada", store=MemoryStore(), retry=QUICK)
    async with client:
        yield client
