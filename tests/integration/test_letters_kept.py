"""Every dead letter is kept, also beside one that is larger than a message, or cannot be kept."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import Bus, Silence
from mesh.bus.dlq import letters
from mesh.bus.jetstream import JetStream
from mesh.bus.tail import Tail
from mesh.gateway import sweeper
from mesh.gateway.dead_letters import DeadLetters
from mesh.gateway.living import Living
from mesh.gateway.sweeper import Sweeper
from mesh.gateway.unfinished import Unfinished
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Claim, Failed, Queued
from mesh.protocol.letters import DeadLetter
from mesh.protocol.request import Message, Request
from mesh.protocol.subjects import Writer
from tests.integration.test_letters_asked_again import gateway, js

__all__ = ["js"]

FAILED = "2 workers were lost at one place of it."


async def poisoned(js: JetStream, words: int, claims: int = 0, text: int = 0) -> str:
    """A request that has ended as poison; returns its id.

    words: bytes of what was asked; text: of what there was of the answer.
    """
    rid, now, writer = new_uid(), time.time(), Writer("gateway", new_uid())
    asked = (Message(role="user", content="x" * words),)
    request = Request(
        rid=rid, reply="gw1", tenant="t", model="m", messages=asked, created=now, deadline=now + 600
    )
    seq = await append_event(js, "gw1", rid, writer, Queued(uid=new_uid(), request=request), 0)
    for n in range(1, claims + 1):
        claim = Claim(uid=new_uid(), n=n, item=1, ack_reply="a", model="m", lost=n > 1)
        seq = await append_event(js, "gw1", rid, writer, claim, seq)
    over = Failed(
        uid=new_uid(), code=ErrorCode.WORKER_LOST, detail=FAILED, poison=True, text="y" * text
    )
    await append_event(js, "gw1", rid, writer, over, seq)
    return rid


def most(js: JetStream) -> int:
    """Bytes of words with which a request is just accepted."""
    request = Request(
        rid=new_uid(), reply="gw1", tenant="t", model="m", messages=(), created=0.0, deadline=0.0
    )
    message = len(encode(Message(role="user", content="")))
    empty = len(encode(Queued(uid=new_uid(), request=request))) + message
    return js.bus.max_payload - 1100 - empty


async def kept(js: JetStream) -> dict[str, DeadLetter]:
    return {letter.request.rid: letter for _, letter in await letters(js)}


@asynccontextmanager
async def sweeping(
    js: JetStream, monkeypatch: pytest.MonkeyPatch, failing: str = ""
) -> AsyncIterator[None]:
    """A sweeper at work. failing: the id of a request whose letter the broker never answers."""
    monkeypatch.setattr(sweeper, "EVERY", 0.1)
    keep = DeadLetters.keep

    async def unanswered(self: DeadLetters, rid: str) -> None:
        if rid == failing:
            raise Silence("no answer")
        await keep(self, rid)

    monkeypatch.setattr(DeadLetters, "keep", unanswered)
    unfinished, living = Unfinished(Tail(js.bus, js)), Living(js, "gw1")
    async with gateway(js) as (requests, letters_):
        working = Sweeper(js, "gw1", unfinished, living, requests, letters_, 60.0)
        running = asyncio.create_task(working.run())
        yield
        running.cancel()


async def until_kept(js: JetStream, *rids: str) -> None:
    async with asyncio.timeout(30):
        while (await kept(js)).keys() != set(rids):
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("text", [0, 3_000_000])
async def test_one_that_is_larger_than_a_message_is_kept_shortened_and_those_behind_it(
    js: JetStream, monkeypatch: pytest.MonkeyPatch, text: int
) -> None:
    large = await poisoned(js, most(js), 40, text)
    small = await poisoned(js, 10, 2, 10)
    async with sweeping(js, monkeypatch):
        await until_kept(js, large, small)
    found = await kept(js)
    assert found[large].text == "" and len(found[large].request.messages[0].content) == most(js)
    assert [attempt.n for attempt in found[large].attempts] == [38, 39, 40]
    assert found[large].why.startswith(FAILED) and "last 3 of its 40 claims" in found[large].why
    assert (found[small].text, found[small].why) == ("y" * 10, FAILED)


async def test_what_there_was_of_an_answer_is_left_out_first(
    js: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = await poisoned(js, 6_000_000, 5, 4_000_000)
    async with sweeping(js, monkeypatch):
        await until_kept(js, large)
    letter = (await kept(js))[large]
    assert (letter.text, len(letter.attempts)) == ("", 5)
    assert "not kept" in letter.why and "claims" not in letter.why


async def test_one_that_cannot_be_kept_at_all_is_said_once_and_keeps_no_other_from_it(
    js: JetStream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    large, small = await poisoned(js, 10_000), await poisoned(js, 10)
    monkeypatch.setattr(Bus, "max_payload", property(lambda bus: 5000))
    async with sweeping(js, monkeypatch):
        await until_kept(js, small)
        await asyncio.sleep(0.5)
    (said,) = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert large in said and "max_payload" in said


async def test_one_that_the_broker_does_not_answer_keeps_no_other_from_it(
    js: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = [await poisoned(js, 10) for _ in range(3)]
    async with sweeping(js, monkeypatch, failing=first):
        await until_kept(js, second, third)


@pytest.mark.parametrize("where", ["gw1", "gw2"])
async def test_what_somebody_writes_behind_its_end_hides_none(
    js: JetStream, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    rid = await poisoned(js, 10, 2, 10)
    stray = Claim(uid=new_uid(), n=9, item=1, ack_reply="a", model="m")
    await js.append(subjects.event(where, rid, Writer("gateway", "mad")), encode(stray), {})
    async with sweeping(js, monkeypatch):
        await until_kept(js, rid)
    letter = (await kept(js))[rid]
    assert ([attempt.n for attempt in letter.attempts], letter.why) == ([1, 2], FAILED)
