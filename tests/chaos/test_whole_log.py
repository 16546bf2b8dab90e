"""A campaign's truth is the whole log: what could not be read to its end is never taken for it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mesh.bus.connection import Bus, BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import Stored
from mesh.bus.topology import declare
from mesh.protocol import subjects
from mesh.settings import Limits
from tests.chaos.flood import flood
from tests.chaos.story import read_stories, settle
from tests.conftest import Broker

STORIES = 3


@pytest.fixture
async def js(broker: Broker) -> AsyncIterator[JetStream]:
    """A log with so many stories, as a gateway has it."""
    broker.credentials("flooder")
    bus = await Bus.connect([broker.url], *broker.credentials("gateway"))
    js = JetStream(bus)
    await declare(js, Limits())
    await flood(broker, STORIES)
    yield js
    await bus.close()


async def test_all_of_it_is_read(broker: Broker, js: JetStream) -> None:
    assert len(await settle(broker, 5.0)) == STORIES


async def test_what_ends_before_the_log_does_is_an_error(
    broker: Broker, js: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a replica answers that lags behind: all but the last message, again and again."""
    last, read = await js.end(subjects.RUN_STREAM), JetStream.read

    async def behind(
        self: JetStream, stream: str, subject: str, start: int, upto: int
    ) -> AsyncIterator[list[Stored]]:
        async for batch in read(self, stream, subject, start, upto):
            if known := [stored for stored in batch if stored.seq < last]:
                yield known

    monkeypatch.setattr(JetStream, "read", behind)
    with pytest.raises(BusError, match=f"read to {last - 1}, and its last message is {last}"):
        await read_stories(broker)
    with pytest.raises(BusError):
        await settle(broker, 1.0)


async def test_a_log_whose_last_messages_are_gone_is_whole_without_them(
    broker: Broker, js: JetStream
) -> None:
    last = await js.end(subjects.RUN_STREAM)
    await declare(js, Limits(run_max_age=1.0))
    while (await js.stream_info(subjects.RUN_STREAM)).state.messages:
        await asyncio.sleep(0.05)
    assert await js.end(subjects.RUN_STREAM) == last > 0
    assert await read_stories(broker) == []
