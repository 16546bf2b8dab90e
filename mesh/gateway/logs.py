"""Finds the logs of requests: one follower per reply address, this gateway's own and others'.

Only finds and follows; what is written to a log is decided elsewhere.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from mesh.bus.connection import Bus, BusError
from mesh.bus.follow import Follower, OnEvent, Track
from mesh.bus.history import anchor, last_event, story
from mesh.bus.jetstream import JetStream
from mesh.bus.lasting import Lasting
from mesh.bus.overheard import Overheard
from mesh.bus.rest import Rest
from mesh.bus.trace import working_for
from mesh.gateway.errors import broker_away
from mesh.protocol import subjects
from mesh.protocol.request import Request
from mesh.protocol.run import Run

PATIENCE = 10.0
"""Seconds that reading or writing a log may take before the broker counts as unavailable."""


LOOK = 10.0
"""Seconds between two looks for logs that nobody reads any more."""

UNREAD = 60.0
"""Seconds for which another gateway's log is followed on when nobody reads it."""


class Following(NamedTuple):
    """A follower of another gateway's log, what keeps it sound, and when it was last asked for."""

    follower: Follower
    watching: asyncio.Task[None]
    asked: float


class Logs:
    """The logs that one gateway reads. `name`: its own reply address; `lasting`: has what keeps
    them sound; `overheard`: notes what comes live at its own address."""

    def __init__(
        self,
        bus: Bus,
        js: JetStream,
        name: str,
        on_event: OnEvent,
        lasting: Lasting,
        overheard: Overheard | None = None,
    ) -> None:
        self._overheard = overheard
        self._bus = bus
        self._js = js
        self._name = name
        self._on_event = on_event
        self._lasting = lasting
        self._following: dict[str, Following] = {}
        self._opening = asyncio.Lock()
        self._resting = asyncio.Lock()

    async def start(self) -> None:
        """Follow this gateway's own address. Raises BusError."""
        await self.follower(self._name)
        self._lasting.start(self._tidy())

    @property
    def own(self) -> Follower:
        """The follower of this gateway's own address."""
        return self._following[self._name].follower

    async def follower(self, reply: str) -> Follower:
        """The follower of any reply address. Raises BusError."""
        async with self._opening:
            now = asyncio.get_running_loop().time()
            if reply in self._following:
                self._following[reply] = self._following[reply]._replace(asked=now)
            else:
                overheard = self._overheard if reply == self._name else None
                follower = Follower(self._bus, self._js, reply, self._on_event, overheard)
                await follower.start()
                with working_for(""):  # it goes on for whoever comes later
                    watching = self._lasting.start(follower.watch())
                self._following[reply] = Following(follower, watching, now)
            return self._following[reply].follower

    async def _tidy(self) -> None:
        """Let go of other gateways' logs that nobody reads: there is a new one with each start of a
        gateway that has no name of its own. Until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            now = asyncio.get_running_loop().time()
            for reply, (follower, watching, asked) in list(self._following.items()):
                if reply != self._name and follower.idle and now - asked > UNREAD:
                    del self._following[reply]
                    watching.cancel()
                    await follower.stop()

    async def find(self, rid: str) -> Track | None:
        """The track of any request whose log is still kept, or None.

        Raises MeshError (broker_unavailable).
        """
        own = self.own.tracks.ready(rid)
        if own is not None and own.run.queued is not None:
            return own
        try:
            async with asyncio.timeout(PATIENCE):
                last = await last_event(self._js, rid)
                if last is None:
                    return None
                track = await self._attach(rid, subjects.parse_run(last.subject).reply)
                if track is not None or (began := await anchor(self._js, rid)) is None:
                    return track
                return await self._attach(rid, began[1].request.reply)
        except (BusError, TimeoutError) as error:
            raise broker_away() from error

    async def _attach(self, rid: str, reply: str) -> Track | None:
        """The track of a request that began at an address; None for one that did not. Raises
        BusError."""
        return await (await self.follower(reply)).attach(rid)

    async def look(self, rid: str) -> Run | None:
        """How any request stands, live or by its events alone, or None. Nothing is followed.

        Raises MeshError (broker_unavailable).
        """
        own = self.own.tracks.ready(rid)
        if own is not None and own.run.queued is not None:
            return own.run
        try:
            async with asyncio.timeout(PATIENCE):
                return await story(self._js, rid)
        except (BusError, TimeoutError) as error:
            raise broker_away() from error

    def rest(self, request: Request) -> Rest:
        """What reads the rest of an answer that has ended, a part at a time, holding no more."""
        return Rest(self._js, request.rid, request.reply, self._resting)

    @contextmanager
    def reading(self, track: Track) -> Iterator[None]:
        """Keep a track as long as it is read."""
        track.readers += 1
        try:
            yield
        finally:
            self.release(track)

    def release(self, track: Track) -> None:
        """A reader has left: forget what has ended and is read by nobody."""
        track.readers -= 1
        if track.run.end is not None and not track.readers:
            for each in self._following.values():
                each.follower.tracks.drop(track)
