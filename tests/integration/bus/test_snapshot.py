"""A stream becomes bytes while it is written to, and a stream again, message by message."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.bus import snapshot
from mesh.bus.api import ApiError
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import Stored
from mesh.bus.topology import declare
from mesh.protocol import subjects
from mesh.protocol.subjects import Writer
from mesh.settings import Limits
from tests.conftest import Broker

MESSAGES, SIZE = 60, 200_000
"""Twelve megabytes that no compression makes smaller: more than the broker sends unasked."""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Broker]:
    """A second broker, which has nothing yet."""
    broker = Broker(tmp_path / "other")
    broker.data_dir.mkdir()
    broker.start()
    yield broker
    broker.kill()


async def connected(broker: Broker, user: str) -> JetStream:
    return JetStream(await Bus.connect([broker.url], *broker.credentials(user)), timeout=20)


async def append(js: JetStream, number: int) -> None:
    subject = subjects.event("gw1", f"r{number}", Writer("gateway", "a"))
    await js.append(subject, random.Random(number).randbytes(SIZE))


async def messages(js: JetStream) -> list[Stored]:
    upto = (await js.stream_info(subjects.RUN_STREAM)).state.last_seq
    batches = js.read(subjects.RUN_STREAM, subjects.RUN_ALL, 1, upto)
    return [stored async for batch in batches for stored in batch]


async def test_many_chunks_of_a_stream_that_grows_make_the_same_messages(
    broker: Broker, other: Broker
) -> None:
    gateway, operator = [await connected(broker, user) for user in ("gateway", "operator")]
    await declare(gateway, Limits())
    for number in range(MESSAGES):
        await append(gateway, number)
    growing = asyncio.create_task(append(gateway, MESSAGES))
    chunks: list[bytes] = []
    taken = await snapshot.take(operator, subjects.RUN_STREAM, chunks.append)
    await growing
    assert len(chunks) > 40 and max(map(len, chunks)) <= snapshot.CHUNK

    there = await connected(other, "operator")
    made = await snapshot.give(there, subjects.RUN_STREAM, bytes(taken.config), 1, chunks)
    assert made.state.last_seq >= taken.state.last_seq >= MESSAGES
    kept = await messages(there)
    assert kept == (await messages(operator))[: len(kept)]
    assert len(kept) == made.state.last_seq
    with pytest.raises(ApiError, match="already in use"):
        await snapshot.give(there, subjects.RUN_STREAM, bytes(taken.config), 1, chunks)
    for js in (gateway, operator, there):
        await js.bus.close()


async def test_what_was_cut_off_makes_no_stream(broker: Broker, other: Broker) -> None:
    gateway, operator = [await connected(broker, user) for user in ("gateway", "operator")]
    await declare(gateway, Limits())
    for number in range(5):
        await append(gateway, number)
    chunks: list[bytes] = []
    taken = await snapshot.take(operator, subjects.RUN_STREAM, chunks.append)
    there = await connected(other, "operator")
    with pytest.raises(ApiError, match="restore failed"):
        await snapshot.give(there, subjects.RUN_STREAM, bytes(taken.config), 1, chunks[:2])
    with pytest.raises(ApiError, match="not found"):
        await there.stream_info(subjects.RUN_STREAM)
    for js in (gateway, operator, there):
        await js.bus.close()
