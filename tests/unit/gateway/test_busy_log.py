"""Who reads the log to its end comes to an end, though something new is there at each look."""

from typing import cast

from mesh.bus.jetstream import JetStream
from mesh.bus.stored import Stored
from mesh.bus.tail import Head, Tail
from mesh.gateway.unfinished import Unfinished
from mesh.gateway.usher import Usher
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.events import Queued
from mesh.protocol.subjects import Writer
from tests.integration.bus.conftest import a_request
from tests.unit.bus.memory import MemoryLog

GATEWAY = Writer("gateway", "i")
MOST = 50
"""Looks until it counts as endless."""


class Busy(Tail):
    """A log to which somebody adds a request while it is being read."""

    def __init__(self) -> None:
        unasked = MemoryLog()
        super().__init__(unasked.bus, unasked.js)
        self.looks = 0
        self.stored: list[Stored] = []
        self._add()

    def _add(self) -> None:
        seq = len(self.stored) + 1
        event = Queued(uid="q", request=a_request(f"r{seq}"))
        subject = subjects.event("gw1", f"r{seq}", GATEWAY)
        self.stored.append(Stored(seq, subject, encode(event), 0.0))

    async def read(self, after: int, limit: int) -> list[Stored]:
        self.looks += 1
        assert self.looks < MOST, "it reads on and on"
        self._add()
        return self.stored[after : after + limit]

    async def head(self) -> Head:
        return Head("once", len(self.stored))

    async def last(self) -> int:
        return len(self.stored)

    async def next(self, stream: str, subject: str, start: int) -> Stored | None:
        """The queue is empty."""
        return None


async def test_what_is_unfinished_is_known_as_of_when_it_was_asked_for() -> None:
    busy = Busy()
    unfinished = Unfinished(busy)
    assert "r1" in await unfinished.read()
    asked = await busy.last()
    assert f"r{asked}" in await unfinished.read()


async def test_a_gateway_that_starts_comes_to_where_the_log_ends() -> None:
    busy = Busy()
    usher = Usher(cast(JetStream, busy), busy, lambda *_: None, "gw1", lambda at, batch: None)
    usher._at = 1
    await usher.start()
