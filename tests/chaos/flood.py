"""Fills the log with whole stories as fast as the broker takes them, fenced like all others."""

import asyncio
import time
from collections.abc import Iterator

from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancelled, Claim, Done, End, Failed, Queued, Usage
from mesh.protocol.request import Message, Request
from mesh.protocol.subjects import Writer
from tests.conftest import Broker

REPLY = "flood"
"""The address of these stories; no gateway goes by that name."""

AT_ONCE = 100

EVENTS = 3
"""Events of one story."""


async def flood(broker: Broker, stories: int, words: int = 4) -> float:
    """Append so many stories, three events each; returns the seconds that took.

    words: of each answer.
    """
    gateway = await Bus.connect([broker.url], *broker.credentials("gateway"))
    worker = await Bus.connect([broker.url], *broker.credentials("flooder"))
    began = time.monotonic()
    try:
        numbers = iter(range(stories))
        writers = (_write(gateway, worker, numbers, words) for _ in range(AT_ONCE))
        await asyncio.gather(*writers)
    finally:
        await gateway.close()
        await worker.close()
    return time.monotonic() - began


async def _write(gateway: Bus, worker: Bus, numbers: Iterator[int], words: int) -> None:
    asks, answers = JetStream(gateway, 10.0), JetStream(worker, 10.0)
    asker, answerer = Writer("gateway", new_uid()), Writer("flooder", new_uid())
    for number in numbers:
        request = _request(number)
        rid = request.rid
        queued = Queued(uid=new_uid(), request=request)
        last = await append_event(asks, REPLY, rid, asker, queued, 0)
        claim = Claim(uid=new_uid(), n=1, item=1, ack_reply="none", model="echo")
        last = await append_event(answers, REPLY, rid, answerer, claim, last)
        await append_event(answers, REPLY, rid, answerer, _end(number, words), last)


def _request(number: int) -> Request:
    now = time.time()
    return Request(
        rid=f"flood{number}x{new_uid()}",
        reply=REPLY,
        tenant="flood",
        model="echo",
        messages=(Message(role="user", content=f"story {number}"),),
        created=now,
        deadline=now + 600,
    )


def _end(number: int, words: int) -> End:
    text = f"word{number} " * words
    match number % 10:
        case 0:
            return Failed(uid=new_uid(), n=1, text=text, code=ErrorCode.ENGINE_FAILED)
        case 1:
            return Cancelled(uid=new_uid(), n=1, text=text)
        case _:
            usage = Usage(prompt_tokens=3, completion_tokens=words)
            return Done(uid=new_uid(), n=1, text=text, usage=usage, finish="stop")
