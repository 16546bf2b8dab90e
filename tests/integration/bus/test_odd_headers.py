"""Whatever a worker puts into the headers of what it writes: all that is behind it is read."""

import asyncio
import json

import pytest

from mesh.bus.appender import append_event
from mesh.bus.follow import Follower
from mesh.bus.history import last_event, story
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import EXPECTED
from mesh.bus.tail import Tail
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.events import Cancel, Claim, Queued
from mesh.protocol.subjects import Writer
from tests.conftest import Broker
from tests.integration.bus.conftest import a_request

GATEWAY, MAD = Writer("gateway", "a"), Writer("mad", "a")
CLAIM = encode(Claim(uid="c", n=1, item=1, ack_reply="a", model="m"))
OWN = {
    "Nats-Sequence": "1",
    "Nats-Last-Sequence": "77",
    "Nats-Subject": "elsewhere",
    "Nats-Time-Stamp": "yesterday",
    "Nats-Stream": "another",
    "Nats-Num-Pending": "-",
}


def block(**headers: str) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"NATS/1.0\r\n{lines}\r\n".encode()


ODD = {
    "a status": block(Status="204"),
    "another status": block(Status="404"),
    "an inline status": b"NATS/1.0 204 EOB\r\n\r\n",
    "an inline status that is no text": b"NATS/1.0 \xff\xfe\xfd \xff\xff\r\n\xff: \xff\r\n\r\n",
    "no number where one is expected": block(**{EXPECTED: ""}),
    "a word where a number is expected": block(**{EXPECTED: "first"}),
    "what the broker says itself": block(**OWN),
    "no name": b"NATS/1.0\r\n: \r\n:::\r\nnothing\r\n\r\n",
    "no end of a line": b"NATS/1.0\r\nA: b",
}


async def published(broker: Broker, subject: str, headers: bytes, data: bytes) -> None:
    """Publish as the mad worker, byte by byte as it likes."""
    user, password = broker.credentials(MAD.user)
    reader, writer = await asyncio.open_connection(broker.host, broker.port)
    said = {"user": user, "pass": password, "headers": True, "verbose": False, "pedantic": False}
    writer.write(f"CONNECT {json.dumps(said)}\r\n".encode())
    sizes = f"{len(headers)} {len(headers) + len(data)}"
    writer.write(f"HPUB {subject} {sizes}\r\n".encode() + headers + data + b"\r\nPING\r\n")
    while not (await reader.readline()).startswith((b"PONG", b"-ERR")):
        pass
    writer.close()


@pytest.mark.parametrize("what", ODD)
async def test_what_is_behind_it_is_read(js: JetStream, broker: Broker, what: str) -> None:
    follower = Follower(js.bus, js, "gw1", lambda where, event, seq: None)
    await follower.start()
    tail, watching = Tail(js.bus, js), asyncio.create_task(follower.watch())
    queued = Queued(uid="q", request=a_request("r1"))
    first = await append_event(js, "gw1", "r1", GATEWAY, queued, 0)
    await published(broker, subjects.event("gw1", "r1", MAD), ODD[what], CLAIM)
    last = await js.end(subjects.RUN_STREAM)
    if last == first:
        pytest.skip("the broker takes nothing of the kind")
    async with asyncio.timeout(10):
        stored = await last_event(js, "r1")
        assert stored is not None and stored.seq == last
        last = await append_event(js, "gw1", "r1", GATEWAY, Cancel(uid="x"), last)
        read = await tail.read(0, 100)
        assert [each.seq for each in read] == list(range(first, last + 1))
        run = await story(js, "r1")
        assert run is not None and (run.last, run.cancel) == (last, True)
        track = await follower.attach("r1")
        assert track is not None and track.run.queued is not None
        while not track.run.cancel:
            await track.changed()
        other = Queued(uid="q", request=a_request("r2"))
        await append_event(js, "gw1", "r2", GATEWAY, other, 0)
        while (heard := await follower.attach("r2")) is None or heard.run.queued is None:
            await asyncio.sleep(0.05)
    watching.cancel()
    await follower.stop()
