"""What the queue has lost is put there again, whatever else the same user does meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import Stored
from mesh.bus.topology import declare
from mesh.gateway import missing
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.events import Cancelled, Claim, Queued
from mesh.protocol.request import Prompt, Request
from mesh.protocol.subjects import Writer
from mesh.settings import Limits
from tests.conftest import Broker
from tests.integration.test_letters_asked_again import js as one_each
from tests.integration.test_letters_kept import sweeping
from tests.queued import items_under

__all__ = ["one_each"]

SECONDS = 30.0
"""Within which the sweeper is to come upon it, on a busy machine; leftovers it lets lie for half of
that."""

WRITER = Writer("gateway", "1")

Others = Callable[[JetStream], Awaitable[None]]


@pytest.fixture
async def js(one_each: JetStream) -> JetStream:
    await declare(one_each, Limits())
    return one_each


@pytest.fixture
async def worker(broker: Broker, js: JetStream) -> AsyncIterator[JetStream]:
    """A worker's connection, for claims."""
    bus = await Bus.connect([broker.url], *broker.credentials("w1"))
    yield JetStream(bus)
    await bus.close()


async def asked(js: JetStream, ago: float, queued: bool = True) -> tuple[Request, int, int]:
    """A request that was asked so many seconds ago; its last sequence in the log, and its place in
    the queue, 0 if it is not queued there."""
    now = time.time()
    request = Request(
        rid=new_uid(),
        reply="gone",
        tenant="t",
        model="m",
        messages=(),
        created=now - ago,
        deadline=now + 600,
    )
    event = Queued(uid=new_uid(), request=request, body="digest")
    seq = await append_event(js, "gone", request.rid, WRITER, event, 0)
    prompt = encode(Prompt(queued=seq, request=request))
    item = await js.append(subjects.req("m", "t"), prompt) if queued else 0
    return request, seq, item


async def claim(worker: JetStream, request: Request, seq: int, item: int) -> int:
    claim = Claim(uid=new_uid(), n=1, item=item, ack_reply="a", model="m")
    return await append_event(worker, "gone", request.rid, Writer("w1", "1"), claim, seq)


async def young(js: JetStream) -> None:
    await asked(js, 0)


async def over(js: JetStream) -> None:
    """One that has its end, and whose worker died before it acknowledged that."""
    request, seq, item = await asked(js, 60)
    await append_event(js, "gone", request.rid, WRITER, Cancelled(uid=new_uid()), seq)


@asynccontextmanager
async def meanwhile(js: JetStream, others: Others) -> AsyncIterator[None]:
    """The same user's other requests, one after the other."""

    async def coming() -> None:
        while True:
            await others(js)
            await asyncio.sleep(0.5)

    for _ in range(3):
        await others(js)
    task = asyncio.create_task(coming())
    try:
        yield
    finally:
        task.cancel()


async def until_queued(js: JetStream, rid: str) -> None:
    async with asyncio.timeout(SECONDS):
        while rid not in await items_under(js, subjects.REQ_ALL):
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("others", [young, over])
async def test_what_never_came_into_the_queue(
    js: JetStream, monkeypatch: pytest.MonkeyPatch, others: Others
) -> None:
    request, _, _ = await asked(js, 60, queued=False)
    async with meanwhile(js, others), sweeping(js, monkeypatch):
        await until_queued(js, request.rid)


@pytest.mark.parametrize("others", [young, over])
@pytest.mark.parametrize("claimed", [False, True])
async def test_what_was_taken_out_of_the_queue(
    js: JetStream,
    worker: JetStream,
    monkeypatch: pytest.MonkeyPatch,
    others: Others,
    claimed: bool,
) -> None:
    monkeypatch.setattr(missing, "AGAIN", 0.5)
    request, seq, item = await asked(js, 60)
    if claimed:
        await claim(worker, request, seq, item)
    async with meanwhile(js, others), sweeping(js, monkeypatch):
        await asyncio.sleep(1.0)  # it has been seen there
        await js.delete(subjects.REQ_STREAM, item)
        await until_queued(js, request.rid)


async def test_what_lies_there_is_not_read_over_and_over(
    js: JetStream, worker: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    get, after = js.get, js.next

    async def counted(stream: str, seq: int) -> Stored | None:
        nonlocal reads
        reads += stream == subjects.REQ_STREAM
        return await get(stream, seq)

    async def counted_too(stream: str, subject: str, start: int) -> Stored | None:
        nonlocal reads
        item = await after(stream, subject, start)
        reads += subject == subjects.req("m", "t") and item is not None
        return item

    monkeypatch.setattr(js, "get", counted)
    monkeypatch.setattr(js, "next", counted_too)
    waiting = [await asked(js, 60) for _ in range(20)]
    for request, seq, item in [await asked(js, 60) for _ in range(20)]:
        await claim(worker, request, seq, item)
    lost, _, _ = await asked(js, 60, queued=False)
    async with sweeping(js, monkeypatch):
        await until_queued(js, lost.rid)
        await asyncio.sleep(2.0)
    assert len(waiting) < reads <= 200, "each once, those twice where fewer lay than should"
