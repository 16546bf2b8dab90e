"""An answer as its worker sees it: when its engine counts as stalled, and who may end it how."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from errno import ETIMEDOUT

import pytest
from msgspec.structs import replace

from mesh.bus.connection import Bus
from mesh.bus.dialling import Client
from mesh.bus.frames import FrameWriter, Unwritten
from mesh.bus.jetstream import JetStream
from mesh.bus.pull import Item
from mesh.metrics import GAPS
from mesh.protocol.events import Cancelled, Done
from mesh.protocol.poison import Bounds
from mesh.protocol.questions import RunStatus
from mesh.protocol.request import Message, Prompt, Request
from mesh.protocol.subjects import Writer
from mesh.settings import WorkerSettings
from mesh.worker.answer import Answer, HandedOver, Patience
from mesh.worker.claim import Claims, Held
from mesh.worker.engines.base import EngineError, Job, Reader, Step
from mesh.worker.engines.echo import EchoEngine
from mesh.worker.meter import Meter
from mesh.worker.prompt import PromptBuilder

REQUEST = Request(
    rid="r1",
    reply="gw1",
    tenant="t",
    model="echo",
    messages=(Message(role="user", content="one two three"),),
    created=0.0,
    deadline=4e9,
)
LONG = 1_000.0


class Told(Claims):
    """Their gateway says that a cancel is asked for, and never what was written before."""

    async def status(self, request: Request, prefix: bool = False) -> RunStatus:
        if prefix:
            await asyncio.Event().wait()
        return RunStatus(last=2, n=1, cancel=True)


@pytest.fixture
async def engine() -> AsyncIterator[EchoEngine]:
    engine = EchoEngine(WorkerSettings(engine="echo"))
    yield engine
    await engine.close()


def an_answer(
    engine: EchoEngine,
    taken_over: bool = False,
    meter: Meter | None = None,
    request: Request = REQUEST,
) -> Answer:
    """An answer of a worker that has no connection: what it writes waits for one.

    Whoever asks for it is told that it is to be cancelled.
    """
    bus, writer = Bus(Client(), "w1"), Writer("w1", "i1")
    js = JetStream(bus)
    return Answer(
        Held(Item(Prompt(queued=1, request=request), "", 1, 1), 1, 2, taken_over),
        Told(bus, js, writer, engine.info.fingerprint),
        engine,
        PromptBuilder(engine),
        FrameWriter(js, REQUEST.reply, writer),
        meter or Meter(),
        Patience(first=60.0, between=60.0, losses=Bounds(2, 5)),
    )


async def test_an_engine_that_makes_no_step_has_stalled() -> None:
    engine = EchoEngine(WorkerSettings(engine="echo", echo_delay=LONG))
    answer = an_answer(engine)
    working = asyncio.create_task(answer.work())
    while not answer.stalled(time.monotonic() + LONG):
        await asyncio.sleep(0.01)
    assert not answer.stalled(time.monotonic() + 10)
    await answer.check()
    end = await working
    assert isinstance(end, Cancelled) and end.seal is not None
    await engine.close()


async def test_an_engine_that_is_not_asked_yet_has_not(engine: EchoEngine) -> None:
    """Its worker waits for a gateway, to learn what others wrote of this answer."""
    assert not an_answer(engine).stalled(time.monotonic() + LONG)


async def test_an_engine_that_is_done_has_not(engine: EchoEngine) -> None:
    """Its worker waits for the broker, to store the end."""
    answer = an_answer(engine)
    assert isinstance(await answer.work(), Done)
    assert not answer.stalled(time.monotonic() + LONG)


async def test_an_engine_that_we_keep_waiting_has_not(
    engine: EchoEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker waits for the broker, to store what there is already."""
    monkeypatch.setattr("mesh.bus.frames.BACKLOG", 50)
    endless = replace(REQUEST, messages=(Message(role="user", content="/repeat a"),))
    answer = an_answer(engine, request=endless)
    working = asyncio.create_task(answer.work())
    while not answer.generating or not answer._frames.full:
        await asyncio.sleep(0)
    assert not answer.stalled(time.monotonic() + LONG)
    await asyncio.sleep(0.05)
    assert len(answer._draft.texts) == 51
    working.cancel()
    await asyncio.wait({working})


async def test_an_answer_that_cannot_be_written_ends(
    engine: EchoEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = replace(REQUEST, messages=(Message(role="user", content="/repeat a"),))
    answer = an_answer(engine, request=endless)

    async def fail(*_: object) -> int:
        raise RuntimeError("out of order")

    monkeypatch.setattr(answer._frames._js, "append", fail)
    writing = asyncio.create_task(answer._frames.run())
    with pytest.raises(Unwritten):
        async with asyncio.timeout(30):
            await answer.work()
    with pytest.raises(RuntimeError):
        await writing


async def test_who_has_not_heard_what_others_wrote_leaves_the_end_to_others(
    engine: EchoEngine,
) -> None:
    """It is to be cancelled, and its worker stops: a seal over nothing would be believed."""
    answer = an_answer(engine, taken_over=True)
    working = asyncio.create_task(answer.work())
    await asyncio.sleep(0.05)
    await answer.check()
    working.cancel()
    with pytest.raises(HandedOver):
        await working


@pytest.mark.parametrize("trouble", [TimeoutError("no answer"), OSError(ETIMEDOUT, "timed out")])
async def test_an_engine_that_waited_in_vain_has_failed_and_another_may_try(
    engine: EchoEngine, trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the request whose time is over: it has years left."""

    async def generate(job: Job, reader: Reader) -> None:
        raise trouble

    monkeypatch.setattr(engine, "generate", generate)
    with pytest.raises(HandedOver, match="TimeoutError"):
        await an_answer(engine).work()


async def test_a_token_that_keeps_a_reader_waiting_is_seen_among_many(
    engine: EchoEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On average nobody waited: the pause counts as what it was, and once."""

    async def generate(job: Job, reader: Reader) -> None:
        for at in range(200):
            await asyncio.sleep(0.3 if at == 100 else 0)
            reader.hear(Step("word ", (at,)))
        reader.hear(Step("", (), "stop"))

    monkeypatch.setattr(engine, "generate", generate)
    meter = Meter()
    end = await an_answer(engine, meter=meter).work()
    assert isinstance(end, Done)
    gaps = meter.gaps["echo"]
    counts = dict(zip((*GAPS, math.inf), gaps.counts, strict=True))
    assert sum(counts.values()) == 199, "the end is no token"
    assert sum(count for bound, count in counts.items() if bound > 0.25) == 1
    assert end.timings.gap is not None and 0.29 < end.timings.gap <= gaps.total < 60


async def test_one_token_lets_nobody_wait_for_the_next(engine: EchoEngine) -> None:
    one = replace(REQUEST, messages=(Message(role="user", content="one"),))
    meter = Meter()
    end = await an_answer(engine, meter=meter, request=one).work()
    assert isinstance(end, Done) and end.usage.completion_tokens == 1
    assert (sum(meter.gaps["echo"].counts), end.timings.gap) == (0, None)


async def test_the_gaps_of_what_is_left_to_others_count_as_well(
    engine: EchoEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def generate(job: Job, reader: Reader) -> None:
        for at in range(10):
            reader.hear(Step("word ", (at,)))
        raise EngineError("it has failed")

    monkeypatch.setattr(engine, "generate", generate)
    meter = Meter()
    with pytest.raises(HandedOver):
        await an_answer(engine, meter=meter).work()
    assert sum(meter.gaps["echo"].counts) == 9
