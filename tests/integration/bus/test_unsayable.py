"""A worker takes over what no gateway can tell it, over a real broker: it ends that at once."""

import asyncio
import time

import pytest
from msgspec.structs import replace

from mesh.bus.connection import Bus
from mesh.bus.frames import FrameWriter
from mesh.bus.jetstream import JetStream
from mesh.bus.pull import Item
from mesh.protocol import subjects
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Failed
from mesh.protocol.poison import Bounds
from mesh.protocol.questions import Refused, RunStatus
from mesh.protocol.request import Prompt
from mesh.protocol.subjects import Writer
from mesh.settings import WorkerSettings
from mesh.worker.answer import Answer, Patience
from mesh.worker.claim import Claims, Held
from mesh.worker.engines.echo import EchoEngine
from mesh.worker.meter import Meter
from mesh.worker.prompt import PromptBuilder
from tests.integration.bus.conftest import Connect, a_request

SOON = 10.0
"""Seconds: far less than the request has."""


def taken_over(bus: Bus, engine: EchoEngine) -> Answer:
    """An answer whose second claim stands, and which others have begun."""
    request = replace(a_request("r1"), deadline=time.time() + 600)
    item = Item(Prompt(queued=1, request=request), "", 1, 2)
    js, writer = JetStream(bus), Writer("w1", "i1")
    return Answer(
        Held(item, 2, 3, taken_over=True),
        Claims(bus, js, writer, engine.info.fingerprint),
        engine,
        PromptBuilder(engine),
        FrameWriter(js, request.reply, writer),
        Meter(),
        Patience(first=60.0, between=60.0, losses=Bounds(2, 5)),
    )


@pytest.mark.parametrize("code", [ErrorCode.TOO_LARGE, ErrorCode.BAD_REQUEST])
async def test_what_can_never_be_told_ends_the_request_at_once(
    connect: Connect, gateway: Bus, js: JetStream, code: ErrorCode
) -> None:
    async def refuse(subject: str, data: bytes) -> Refused:
        return Refused(code=code, detail="Never.")

    await gateway.serve(subjects.RESUME_ALL, refuse)
    await js.end(subjects.RUN_STREAM)  # a round trip, after which the broker knows who serves
    engine = EchoEngine(WorkerSettings(engine="echo"))
    async with asyncio.timeout(SOON):
        end = await taken_over(await connect("w1"), engine).work()
    assert isinstance(end, Failed)
    assert (end.code, end.detail, end.n) == (code, "Never.", 2)
    assert end.seal is None, "what others wrote was not heard"
    await engine.close()


async def test_what_may_pass_is_asked_again(connect: Connect, gateway: Bus, js: JetStream) -> None:
    refusals = [ErrorCode.BROKER_UNAVAILABLE, ErrorCode.GATEWAY_STOPPING, ErrorCode.INTERNAL]

    async def answer(subject: str, data: bytes) -> Refused | RunStatus:
        if refusals:
            return Refused(code=refusals.pop(0))
        return RunStatus(last=7)

    await gateway.serve(subjects.RESUME_ALL, answer)
    await js.end(subjects.RUN_STREAM)
    claims = Claims(await connect("w1"), js, Writer("w1", "i1"), "print")
    async with asyncio.timeout(SOON):
        status = await claims.status(replace(a_request("r1"), deadline=time.time() + 600))
    assert status.last == 7 and not refusals
