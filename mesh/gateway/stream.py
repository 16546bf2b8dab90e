"""Turns a followed request into Server-Sent Events: one event per piece, all at hand in one write.

What an event looks like is a dialect's affair; when to write, to wait, to keep a silent stream
alive and to stop is decided here, once for all routes.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from mesh.bus.follow import Track
from mesh.gateway.errors import AnyRequest
from mesh.gateway.event_stream import EventStream, Wire, hang_up
from mesh.gateway.requests import Requests
from mesh.protocol.errors import MeshError
from mesh.protocol.messages import Failed
from mesh.protocol.run import Run

KEEP_ALIVE = b": keep-alive\n\n"


class Dialect(Protocol):
    """How one route writes its events. Each method returns whole events, or b"" for none."""

    def tokens(self, texts: list[str], index: int) -> bytes:
        """Pieces, the first of which is piece `index` of the answer."""
        ...

    def end(self, run: Run) -> bytes:
        """The last event or events, for a run with an `end`."""
        ...

    def tick(self, run: Run) -> bytes:
        """What to say at once, and each second while nothing has come yet; b"" for nothing."""
        ...


class Stream:
    """One client's place in an answer: an index into the shared text, and nothing more."""

    def __init__(self, track: Track, dialect: Dialect, sent: int) -> None:
        self.track = track
        self.ended = False
        self._dialect = dialect
        self._sent = sent
        self._notes = dialect.tick(track.run)
        self._written = time.monotonic()

    def take(self) -> bytes:
        """All there is to write now."""
        run, notes = self.track.run, self._notes
        self._notes = b""
        data = notes
        if len(run.texts) > self._sent:
            data += self._dialect.tokens(run.texts[self._sent :], self._sent)
            self._sent = len(run.texts)
        if run.end is not None:
            self.ended = True
            data += self._dialect.end(run)
        if data:
            self._written = time.monotonic()
        return data

    def tick(self, now: float, keep_alive: float) -> None:
        note = self._dialect.tick(self.track.run)
        if not note and now - self._written >= keep_alive:
            note = KEEP_ALIVE
        if note:
            self._notes = note
            self.track.wake()


class Streams:
    """All open streams of a gateway, with the one clock that keeps them alive.

    keep_alive: seconds of silence before a comment.
    """

    def __init__(self, requests: Requests, keep_alive: float) -> None:
        self._requests = requests
        self._keep_alive = keep_alive
        self._open: set[Stream] = set()
        self._waiting: dict[AnyRequest, Track] = {}
        self._closing = False

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def reading(self, track: Track) -> Iterator[None]:
        """Keep a track as long as it is read."""
        track.readers += 1
        try:
            yield
        finally:
            self._requests.logs.release(track)

    def response(
        self,
        track: Track,
        dialect: Dialect,
        after: int,
        gone: Callable[[], None],
        parting: bytes = b"",
    ) -> EventStream:
        """The events behind piece `after` (-1: all), up to the end.

        `gone` is called if the client leaves before the end. A stream that the gateway itself
        has to break off ends without a last event, so that clients connect again; where they
        would take that for the end, it ends with the event `parting`, and that client has left.
        """

        async def write(wire: Wire) -> None:
            stream = Stream(track, dialect, after + 1)
            wire.gone.add_done_callback(lambda _: track.wake())
            self._open.add(stream)
            try:
                with self.reading(track):
                    await self._write(stream, wire)
                    if parting and not stream.ended:
                        await wire.write(parting)
            finally:
                self._open.discard(stream)
                if not stream.ended and (parting or not self._closing):
                    gone()

        return EventStream(write)

    async def _write(self, stream: Stream, wire: Wire) -> None:
        """Write up to the end, as long as the client stays and the gateway does."""
        while not (stream.ended or self._closing or wire.gone.done()):
            data = stream.take()
            if data:
                await wire.write(data)
            else:
                await stream.track.changed()

    async def ended(self, track: Track, request: AnyRequest) -> bool:
        """Wait for a request's end; False if the client left, or the gateway has to stop."""
        self._waiting[request] = track
        try:
            with self.reading(track):
                await _watching(request, track, lambda run: run.end is not None or self._closing)
        finally:
            del self._waiting[request]
        return track.run.end is not None

    async def tick(self) -> None:
        """Let each silent stream say that it lives; until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            for stream in list(self._open):
                stream.tick(now, self._keep_alive)

    async def close(self) -> None:
        """Break off all streams, and all waiting."""
        self._closing = True
        for track in [stream.track for stream in self._open] + list(self._waiting.values()):
            track.wake()
        while self._open or self._waiting:
            await asyncio.sleep(0.01)


async def first_change(track: Track, patience: float, request: AnyRequest) -> bool:
    """Wait for a request's first piece or its end, at most `patience` s; False: the client left."""
    try:
        async with asyncio.timeout(patience):
            return await _watching(
                request, track, lambda run: bool(run.texts) or run.end is not None
            )
    except TimeoutError:
        return True


async def _watching(request: AnyRequest, track: Track, holds: Callable[[Run], bool]) -> bool:
    """Wait until something holds of the run; False if the client left before."""
    gone = asyncio.create_task(hang_up(request.receive))
    gone.add_done_callback(lambda _: track.wake())
    try:
        while not holds(track.run) and not gone.done():
            await track.changed()
        return holds(track.run)
    finally:
        gone.cancel()


def refused(track: Track) -> None:
    """Raise the MeshError of a request that failed before its first piece."""
    end = track.run.end
    if isinstance(end, Failed) and not track.run.texts:
        raise MeshError(end.code, end.detail, param=end.param)
