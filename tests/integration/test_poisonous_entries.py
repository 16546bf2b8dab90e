"""An entry of the log that nobody can mean costs nothing but itself, whoever wrote it."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from mesh.bus.appender import new_uid
from mesh.bus.connection import Bus
from mesh.bus.history import story
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import fence
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.events import Queued
from mesh.protocol.request import Request
from mesh.protocol.subjects import Writer
from tests.conftest import Broker
from tests.integration.test_letters_asked_again import js
from tests.integration.test_letters_kept import sweeping
from tests.integration.test_sweeping_without_a_queue import asked, until_ended
from tests.whole_mesh import ECHO, Mesh

__all__ = ["js"]

SECONDS = 20.0
MAD, GATEWAY = Writer("mad", "i"), Writer("gateway", "i")


def absurd(rid: str, **more: Any) -> bytes:
    """A `queued` that can be read, of a request that no gateway would accept."""
    now = time.time()
    request = Request(
        rid=rid,
        reply=more.get("reply", "gw1"),
        tenant=more.get("tenant", ""),
        model=more.get("model", ""),
        messages=(),
        created=now - 60,
        deadline=now + 600,
    )
    return encode(Queued(uid=new_uid(), request=request, body="digest"))


async def write(js: JetStream, writer: Writer, data: bytes, reply: str = "gw1") -> str:
    """Append an event as the first one of a story; returns the story's id."""
    rid = msgspec.json.decode(data).get("request", {}).get("rid") or new_uid()
    await js.append(subjects.event(reply, rid, writer), data, fence(0, subjects.events_of(rid)))
    return rid


async def queued_again(js: JetStream, rid: str) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            item = await js.next(subjects.REQ_STREAM, subjects.REQ_ALL, 1)
            if item is not None and rid.encode() in item.data:
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("writer", [MAD, GATEWAY])
async def test_a_request_that_nobody_can_queue_keeps_no_other_from_the_queue(
    js: JetStream, broker: Broker, monkeypatch: pytest.MonkeyPatch, writer: Writer
) -> None:
    bus = await Bus.connect([broker.url], *broker.credentials(writer.user))
    await write(JetStream(bus), writer, absurd(new_uid()))
    lost = await asked(js, 600)
    async with sweeping(js, monkeypatch):
        await queued_again(js, lost)
    await bus.close()


async def test_what_a_worker_queues_is_nobody_s_request(
    js: JetStream, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = await Bus.connect([broker.url], *broker.credentials(MAD.user))
    rid = await write(JetStream(bus), MAD, absurd(new_uid(), tenant="t", model="m"))
    run = await story(js, rid)
    assert run is not None and run.queued is None and run.last
    late = await asked(js, -30)
    async with sweeping(js, monkeypatch):
        await until_ended(js, late)
        await asyncio.sleep(0.5)
    assert await js.next(subjects.REQ_STREAM, subjects.REQ_ALL, 1) is None
    await bus.close()


async def odd(broker: Broker, address: str) -> None:
    """Write all kinds of odd entries, as a worker and as a gateway."""
    for writer in (MAD, GATEWAY):
        bus = await Bus.connect([broker.url], *broker.credentials(writer.user))
        js = JetStream(bus)
        tools = [subjects.TOOLS] if writer is GATEWAY else []  # nobody else may write there
        for reply in (address, "nobody", subjects.FLEET, *tools):
            for data in (
                absurd(new_uid(), reply=reply),
                absurd("another", reply="elsewhere"),
                b"",
                b"null",
                b"[" * 20_000,
                b"\xff\xfe",
                b"[[]]",
                b'{"type":"worker_started","uid":"u"}',
                b'{"type":"nobody knows this","uid":"u"}',
                b'{"type":"done","uid":"u","finish":"stop","text":"","seal":{"count":9,"text":""}}',
                b'{"type":"deleted","uid":"u"}',
                b'{"type":"claim","uid":"u","n":1,"item":0,"ack_reply":" > ","model":""}',
                b'{"type":"cancel","uid":"u","by":"\\u0000","withdrawn":true}',
                b'{"type":"run_over","uid":"u","state":"completed"}',
                b'{"type":"worker_stopped","uid":"u","name":"","inc":"","reason":"drained"}',
                b'{"type":"failed","uid":"u","code":"internal","poison":true,"retry_after":-1e15}',
            ):
                await js.append(subjects.event(reply, new_uid(), writer), data)
        await bus.close()


async def test_odd_entries_stop_neither_gateway_nor_store(
    new_mesh: Callable[..., Mesh], caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does what they leave behind, when both are started again."""
    caplog.set_level(logging.WARNING)
    mesh = new_mesh()
    mesh.start("store", "gateway", ECHO)
    async with mesh.anonymous() as http:
        await answered(http)
        await odd(mesh.broker, "gw1")
        await asyncio.sleep(4.0)
        await answered(http)
        mesh.stop("gateway", "store")
        mesh.start("store", "gateway")
        await answered(http)
        await asyncio.sleep(4.0)
        await answered(http)
    assert not [each for each in caplog.records if each.exc_info]


async def answered(http: httpx.AsyncClient) -> None:
    response = await http.post("/generate", json={"prompt": "x", "params": {"max_tokens": 5}})
    assert response.status_code == 200 and '"done":true' in response.text, response.text
