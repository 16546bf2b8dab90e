"""What is near the broker's largest message is divided, or the answer says that it cannot be."""

import asyncio
import time
from contextlib import suppress

import pytest
from msgspec.structs import replace

from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import Bus, Oversized
from mesh.bus.entries import apply
from mesh.bus.frames import FrameWriter
from mesh.bus.jetstream import JetStream
from mesh.bus.pull import Item
from mesh.bus.replay import Replayer
from mesh.bus.stored import fence
from mesh.protocol import subjects
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Claim, Done, End, Failed, Queued
from mesh.protocol.frames import Odds
from mesh.protocol.poison import Bounds
from mesh.protocol.request import Message, Prompt, Sampling
from mesh.protocol.run import Run
from mesh.protocol.subjects import Writer
from mesh.settings import WorkerSettings
from mesh.worker.answer import Answer, Patience
from mesh.worker.claim import Claims
from mesh.worker.engines.base import Job, Reader, Step
from mesh.worker.engines.echo import EchoEngine
from mesh.worker.meter import Meter
from mesh.worker.prompt import PromptBuilder
from tests.integration.bus.conftest import Connect, a_request

SOON = 30.0
"""Seconds: far less than the request has."""

SMALL = 1 << 20
"""What a broker takes at most whose configuration says nothing of it."""

WORKER = Writer("w1", "i1")
PLAIN = Sampling()


class AllAtOnce(EchoEngine):
    """An engine that says what it is told to."""

    def __init__(self, *steps: Step) -> None:
        super().__init__(WorkerSettings(engine="echo"))
        self._said = steps

    async def generate(self, job: Job, reader: Reader) -> None:
        for step in self._said:
            if not reader.hear(step):
                return


class Answering:
    """A request in the hands of a worker: `answer` it, then `read` what its log says."""

    def __init__(self, js: JetStream, bus: Bus) -> None:
        self.js, self.bus = js, bus
        self.frames = FrameWriter(
            JetStream(bus), "gw1", WORKER, lambda rid: self.answer.leave_unsaid()
        )
        self.answer: Answer
        self._queued = 0

    async def begin(self, engine: EchoEngine, sampling: Sampling = PLAIN) -> None:
        request = replace(
            a_request("r1"),
            messages=(Message(role="user", content="Say it."),),
            sampling=sampling,
            deadline=time.time() + 600,
        )
        gateway, event = Writer("gateway", "a"), Queued(uid=new_uid(), request=request)
        self._queued = await append_event(self.js, "gw1", "r1", gateway, event, 0)
        claims = Claims(self.bus, JetStream(self.bus), WORKER, engine.info.fingerprint)
        self.answer = Answer(
            await claims.claim(Item(Prompt(queued=self._queued, request=request), "", 1, 1)),
            claims,
            engine,
            PromptBuilder(engine),
            self.frames,
            Meter(),
            Patience(first=60.0, between=60.0, losses=Bounds(2, 5)),
        )

    async def finish(self, end: End | None = None) -> Run:
        """Generate all, and only then write it, and its end; the request as its log tells it."""
        end = end or await self.answer.work()
        assert end is not None
        writing = asyncio.create_task(self.frames.run())
        try:
            async with asyncio.timeout(SOON):
                assert await self.answer.finish(end)
        finally:
            writing.cancel()
        return await Replayer(self.js, "gw1").run("r1", self._queued)


@pytest.fixture
async def answering(connect: Connect, js: JetStream) -> Answering:
    return Answering(js, await connect("w1"))


async def test_one_step_that_says_more_than_a_message_holds_is_written_as_far_as_an_answer_may_be(
    answering: Answering,
) -> None:
    text = "aé水\U0001f600" * 1_000_000
    assert len(text.encode()) > answering.bus.max_payload
    await answering.begin(AllAtOnce(Step(text, (1, 2), "stop")))
    run = await answering.finish()
    assert isinstance(run.end, Done) and run.end.finish == "length"
    assert run.sealed() and run.end.text == run.text
    assert text.startswith(run.text) and len(run.text.encode()) > answering.frames.longest // 2
    assert run.ids is None, "whoever goes on has to go on by the text"


async def test_one_step_that_says_much_is_written_whole(answering: Answering) -> None:
    answering.bus.client._max_payload = SMALL
    text = "\x01é" * 90_000  # in JSON more than twice as many bytes as in UTF-8
    odds = Odds(-0.5, (("a", -0.5),))
    await answering.begin(AllAtOnce(Step(text, (7,), "stop", odds=odds)), Sampling(logprobs=1))
    run = await answering.finish()
    assert isinstance(run.end, Done) and run.end.finish == "stop"
    assert run.sealed() and run.text == text
    assert len(run.odds) == len(run.texts) > 1
    assert (sum(each.logprob for each in run.odds), run.odds[-1].top) == (-0.5, odds.top)


async def test_a_batch_of_pieces_is_divided_by_the_bytes_that_it_takes(
    js: JetStream, connect: Connect
) -> None:
    bus = await connect("w1")
    bus.client._max_payload = SMALL
    frames = FrameWriter(JetStream(bus), "gw1", WORKER)
    pieces = [f"{k}" + "\x01" * 12 for k in range(19_000)]
    for k, piece in enumerate(pieces):
        frames.put("r1", 1, k, piece, (k,))
    writing = asyncio.create_task(frames.run())
    async with asyncio.timeout(SOON):
        await frames.stored("r1", 1)
    writing.cancel()
    run = Run()
    run.event(Claim(uid="u", n=1, item=1, ack_reply="a", model="m"), WORKER, 1)
    async for batch in js.read(subjects.RUN_STREAM, subjects.tokens("gw1", WORKER), 1, 1 << 40):
        for stored in batch:
            apply({"r1": run}, stored)
    assert run.texts == pieces and run.ids == [(k,) for k in range(len(pieces))]


async def test_odds_that_no_message_holds_end_the_answer_with_a_sentence(
    answering: Answering,
) -> None:
    odds = Odds(-0.5, tuple(("long" * 200_000, -float(k)) for k in range(20)))
    steps = [Step("Well, ", (1,)), Step("no.", (2,), "stop", odds=odds)]
    await answering.begin(AllAtOnce(*steps), Sampling(logprobs=20))
    run = await answering.finish()
    assert isinstance(run.end, Failed) and run.end.code is ErrorCode.TOO_LARGE
    assert "likeliest tokens" in run.end.detail and run.end.param == "top_logprobs"
    assert run.text == run.end.text == "Well, " and run.sealed()


async def test_a_broker_that_takes_less_than_it_did_ends_the_answer_with_a_sentence(
    answering: Answering,
) -> None:
    await answering.begin(AllAtOnce(Step("Well, ", (1,)), Step("o" * 40_000, (2,), "stop")))
    end = await answering.answer.work()
    assert isinstance(end, Done)
    answering.bus.client._max_payload = 20_000
    run = await answering.finish(end)
    assert isinstance(run.end, Failed) and run.end.code is ErrorCode.TOO_LARGE
    assert run.end.seal is None, "what was generated is not what was written"


async def test_headers_count_as_well_and_break_no_connection(
    js: JetStream, connect: Connect
) -> None:
    bus = await connect("w1")
    again: list[None] = []
    bus.on_doubt(lambda: again.append(None))
    with pytest.raises(Oversized):
        await bus.send(
            subjects.tokens("gw1", WORKER), bytes(bus.max_payload - 10), "", headers=fence(0)
        )
    with suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            while not again:
                await asyncio.sleep(0.05)
    assert bus.connected and not again


async def test_the_end_of_an_answer_waits_for_its_own_pieces_whatever_else_waits(
    js: JetStream, connect: Connect
) -> None:
    """After an outage a frame has much of one answer, and nothing yet of another."""
    frames = FrameWriter(JetStream(await connect("w1")), "gw1", WORKER)
    frames.put("long", 1, 0, "x", None)
    frames.put("short", 1, 0, "whole", None)
    for k in range(1, 15_000):
        frames.put("long", 1, k, "x" * 40, None)
    writing = asyncio.create_task(frames.run())
    async with asyncio.timeout(SOON):
        await frames.stored("short", 1)
    writing.cancel()
    run = Run()
    run.event(Claim(uid="u", n=1, item=1, ack_reply="a", model="m"), WORKER, 1)
    async for batch in js.read(subjects.RUN_STREAM, subjects.tokens("gw1", WORKER), 1, 1 << 40):
        for stored in batch:
            apply({"short": run}, stored)
    assert run.texts == ["whole"]
