"""While the queue has no leader the log goes on, and so does what the sweeper does there."""

import asyncio
import time

import pytest

from mesh.bus.api import StreamInfo
from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import NoResponders
from mesh.bus.history import story
from mesh.bus.jetstream import JetStream
from mesh.gateway.requests import Requests
from mesh.protocol import subjects
from mesh.protocol.events import Queued
from mesh.protocol.request import Request
from mesh.protocol.subjects import Writer
from tests.integration.test_letters_asked_again import js
from tests.integration.test_letters_kept import poisoned, sweeping, until_kept

__all__ = ["js"]

SECONDS = 20.0
"""Within which the sweeper is to come round, on a busy machine."""


async def asked(js: JetStream, deadline: float, reply: str = "gone") -> str:
    """A request that was asked a while ago at a gateway that is gone, and never queued."""
    rid, now = new_uid(), time.time()
    request = Request(
        rid=rid,
        reply=reply,
        tenant="t",
        model="m",
        messages=(),
        created=now - 60,
        deadline=now + deadline,
    )
    event = Queued(uid=new_uid(), request=request, body="digest")
    await append_event(js, reply, rid, Writer("gateway", new_uid()), event, 0)
    return rid


class Away:
    """A queue that has no leader. tried: how often somebody wanted to append there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
        """told: whether it still says how it stands, as one that has just lost its leader."""
        self.tried = 0
        append, info = JetStream.append, JetStream.stream_info

        async def appending(
            js: JetStream, subject: str, data: bytes, headers: dict[str, str] | None = None
        ) -> int:
            if subject.startswith(f"{subjects.PREFIX}.req."):
                self.tried += 1
                raise NoResponders("nobody leads it")
            return await append(js, subject, data, headers)

        async def telling(js: JetStream, stream: str, subject: str = "") -> StreamInfo:
            if stream == subjects.REQ_STREAM and not told:
                self.tried += 1
                raise NoResponders("nobody leads it")
            return await info(js, stream, subject)

        monkeypatch.setattr(JetStream, "append", appending)
        monkeypatch.setattr(JetStream, "stream_info", telling)

    async def felt(self) -> None:
        """Wait until the sweeper has come upon it."""
        async with asyncio.timeout(SECONDS):
            while not self.tried:
                await asyncio.sleep(0.05)


async def until_ended(js: JetStream, rid: str) -> None:
    async with asyncio.timeout(SECONDS):
        while (run := await story(js, rid)) is None or run.end is None:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("told", [True, False])
async def test_deadlines_and_dead_letters_are_kept_while_the_queue_has_no_leader(
    js: JetStream, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    lost, letter = await asked(js, 600), await poisoned(js, 10)
    away = Away(monkeypatch, told)
    async with sweeping(js, monkeypatch):
        await away.felt()
        late = await asked(js, -30)
        await until_ended(js, late)
        await until_kept(js, letter)
    run = await story(js, lost)
    assert run is not None and run.end is None, "it has time"


async def test_one_that_cannot_be_taken_back_costs_no_other_its_end(
    js: JetStream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = await asked(js, -30), await asked(js, -30)
    take_back = Requests.take_back

    async def failing(self: Requests, rid: str) -> None:
        if rid == bad:
            raise ValueError("nobody foresaw that")
        await take_back(self, rid)

    monkeypatch.setattr(Requests, "take_back", failing)
    async with sweeping(js, monkeypatch):
        await until_ended(js, good)
        late = await asked(js, -30)
        await until_ended(js, late)
    assert any(bad in each.getMessage() for each in caplog.records if each.exc_info)
