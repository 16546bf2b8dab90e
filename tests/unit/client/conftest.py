"""What the client's tests share: a scripted gateway, and clients of it; `mesh chat` is one."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from mesh_client import AsyncClient, Client, MemoryStore, Retry
from tests.sitting import Sitting
from tests.unit.client.scripted_gateway import ScriptedGateway

COMMAND = [sys.executable, "-c", "from mesh_client.repl import chat; chat()"]

Open = Callable[..., Sitting]

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


@pytest.fixture
def environment(tmp_path: Path, gateway: ScriptedGateway) -> dict[str, str]:
    """What `mesh chat` finds around it."""
    kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    return kept | {
        "XDG_CONFIG_HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path),
        "HOME": str(tmp_path),
        "MESH_URL": gateway.url,
        "MESH_USER": "ada",
        "PYTHONUTF8": "1",
    }


@pytest.fixture
def open_chat(environment: dict[str, str]) -> Iterator[Open]:
    """Begins sittings, which end with the test."""
    opened: list[Sitting] = []

    def open_it(*arguments: str, columns: int = 80, rows: int = 24) -> Sitting:
        opened.append(Sitting([*COMMAND, *arguments], environment, columns, rows))
        opened[-1].wait_for("mesh chat at", "echo · connected")
        return opened[-1]

    yield open_it
    for sitting in opened:
        sitting.close()


@pytest.fixture
def mid_answer(open_chat: Open, gateway: ScriptedGateway) -> Sitting:
    """A sitting whose answer stands still behind its third piece, until it is released."""
    gateway.hold_before = 3
    sitting = open_chat()
    sitting.send("Count.")
    sitting.wait_for("One two thrée", "answering")
    return sitting
