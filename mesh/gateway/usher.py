"""Tells the waiting room who came and went, at this gateway and at all others, from the log.

This gateway's own requests are told as its follower hears them, at once; those of others are read
from the log a few times a second, which is as often as people look at their place.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

import msgspec

from mesh.bus.connection import BusError
from mesh.bus.entries import request_event
from mesh.bus.jetstream import JetStream
from mesh.bus.one_by_one import one_by_one
from mesh.bus.stored import Stored
from mesh.bus.tail import Tail
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.events import RunEvent
from mesh.protocol.request import Prompt
from mesh.protocol.subjects import RunSubject

log = logging.getLogger(__name__)

Hear = Callable[[str, RunEvent, int, float], None]
"""Hears a request's id, an event of it, the sequence at which it is stored, and when (Unix)."""

Read = Callable[[int, Sequence[Stored]], None]
"""Gets what was read of the log, and the sequence that it follows on."""

PACE = 0.25
"""Seconds between two looks at the log."""

BATCH = 1024


class Usher:
    """Tells `hear` each event of any request, in the log's order. name: our reply address.

    pass_on: gets the log as it is read here, so that nobody else in this gateway has to.
    """

    def __init__(
        self,
        js: JetStream,
        tail: Tail,
        hear: Hear,
        name: str,
        pass_on: Read,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._js = js
        self._tail = tail
        self._tell_room = hear
        self._pass_on = pass_on
        self._name = name
        self._clock = clock
        self._at = 0
        self._held: list[tuple[str, RunEvent, int, float]] | None = []

    def hear(self, where: RunSubject, event: RunEvent, seq: int) -> None:
        """An event from a follower; until `start` has read what came before, it is held back."""
        if where.reply != self._name:
            return
        if self._held is None:
            self._tell_room(where.rid, event, seq, self._clock())
        else:
            self._held.append((where.rid, event, seq, self._clock()))

    async def start(self) -> None:
        """Learn who waits already, from the oldest of them on. Call it once we follow.

        Raises BusError; called again, it goes on where it was.
        """
        if not self._at:
            self._at = await self._oldest() - 1
        async for batch in self._tail.upto(await self._tail.last(), self._at, BATCH):
            self._tell(batch, own=True)
        held, self._held = self._held or [], None
        for rid, event, seq, at in held:
            if seq > self._at:
                self._tell_room(rid, event, seq, at)

    async def run(self) -> None:
        """Tell what happens at other gateways, until cancelled."""
        while True:
            try:
                await self._tail.wait(1.0)
                end = await self._tail.last()
                self._at = min(self._at, end)  # the log may have been replaced
                async for batch in self._tail.upto(end, self._at, BATCH):
                    self._tell(batch, own=False)
            except BusError as error:
                log.debug("Reading who waits elsewhere: %s", error)
            await asyncio.sleep(PACE)

    async def _oldest(self) -> int:
        """The sequence at which the oldest was queued who is in the queue; beyond the end: nobody.

        Whether one waits or runs, the log says: handed out it may have been, and given back.
        """
        at = 1
        while (item := await self._js.next(subjects.REQ_STREAM, subjects.REQ_ALL, at)) is not None:
            try:
                return decode(item.data, Prompt).queued
            except msgspec.DecodeError:
                at = item.seq + 1
        return await self._tail.last() + 1

    def _tell(self, batch: Sequence[Stored], own: bool) -> None:
        def tell(stored: Stored) -> None:
            where = subjects.parse_run(stored.subject)
            if where.reply == self._name and not own:
                return
            event = request_event(stored, where)
            if event is not None:
                self._tell_room(where.rid, event, stored.seq, stored.at)

        one_by_one(batch, tell)
        self._pass_on(self._at, batch)
        self._at = batch[-1].seq
