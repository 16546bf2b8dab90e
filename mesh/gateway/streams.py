"""Turns a followed request into Server-Sent Events: one per piece, many of them in one write.

What an event looks like is a dialect's affair; when to write, to wait, to keep a silent stream
alive and to stop is decided here, once for all routes.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from mesh.bus.follow import Track
from mesh.gateway.anew import refusal
from mesh.gateway.client import Client, left_early
from mesh.gateway.errors import stopping
from mesh.gateway.event_stream import EventStream, Wire
from mesh.gateway.requests import Requests
from mesh.gateway.side_by_side import SideBySide
from mesh.gateway.stream import WINDOW, Dialect, Stream
from mesh.protocol.errors import MeshError
from mesh.protocol.events import Failed
from mesh.protocol.run import Run

log = logging.getLogger(__name__)

T = TypeVar("T")

CUT = b": The gateway stops here. Connect again, with Last-Event-ID, to read on.\n\n"
"""The last words of a stream that can be read on: a comment, as no client takes that for the end of
an answer, and an `EventSource` connects again by itself."""

PARTING = 3.0
"""Seconds that last words may take to who reads them, when the gateway stops."""

MOMENT = 1.0
"""Seconds that what is done for clients who have left may take when the gateway stops."""


class Streams:
    """All open streams of a gateway, with the one clock that keeps them alive.

    keep_alive: seconds of silence before a comment.
    """

    def __init__(self, requests: Requests, keep_alive: float) -> None:
        self._requests = requests
        self._keep_alive = keep_alive
        self._open: set[Stream] = set()
        self._waiting: dict[Client, Track] = {}
        self._telling = 0
        self._accepting = 0
        self._leaving: set[asyncio.Task[None]] = set()
        self._closing = False
        self._stopping = asyncio.get_running_loop().create_future()

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """While several answers are told one after the other, and what comes between them."""
        self._telling += 1
        try:
            yield
        finally:
            self._telling -= 1

    async def accept(
        self, client: Client, accepting: Coroutine[Any, Any, T], left: Callable[[T], None]
    ) -> T:
        """What comes of accepting a request, which is never cut short.

        If the client leaves meanwhile, or the gateway has to stop, `left` is called with what comes
        of it, and MeshError (cancelled, gateway_stopping) is raised at once.
        """
        return await self._accept(accepting, left, client.gone)

    async def begin(self, beginning: Coroutine[Any, Any, T]) -> T:
        """What comes of beginning what goes on without its client. Raises MeshError
        (gateway_stopping) if the gateway has to stop meanwhile."""
        return await self._accept(beginning, lambda _: None)

    async def _accept(
        self,
        accepting: Coroutine[Any, Any, T],
        left: Callable[[T], None],
        *gone: asyncio.Future[None],
    ) -> T:
        task = asyncio.create_task(accepting)
        self._accepting += 1
        try:
            ends = [task, self._stopping, *gone]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self._see_out(_too_late(task, left))
                raise stopping() if self._closing else left_early()
            return task.result()
        finally:
            self._accepting -= 1
            del task, ends  # its error knows of this frame, and this frame would of its error

    def hang_up(self, track: Track) -> None:
        """Cancel, in the background, because the client of a route that wants this has left."""
        if track.run.end is None:
            self._see_out(self._cancel(track))

    async def _cancel(self, track: Track) -> None:
        """Cancel, and wait for the end: its holder asks a gateway, perhaps us, before it stops."""
        with self._requests.logs.reading(track):
            await self._requests.endings.cancel(track, "hang-up")
            await track.until(lambda run: run.end is not None)

    def _see_out(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def response(
        self,
        track: Track,
        dialect: Dialect,
        after: int,
        keeps: bool,
        parting: bytes = CUT,
    ) -> EventStream:
        """The events behind piece `after` (-1: all), up to the end.

        Unless it `keeps`, the answer is cancelled if the client leaves before its end, or the
        gateway has to break the stream off. Then that ends with `parting`: where clients cannot
        connect again, or would take a comment for the end, that is an event.
        """

        return self.together([(track, dialect)], after, keeps, parting)

    def together(
        self,
        parts: Sequence[tuple[Track, Dialect]],
        after: int,
        keeps: bool,
        parting: bytes = CUT,
    ) -> EventStream:
        """Several answers as one stream, which ends with the last of them, or the first failure."""
        streams = [self.stream(track, dialect, after, keeps) for track, dialect in parts]

        async def write(wire: Wire) -> None:
            await self.write(streams, wire, parting)

        return EventStream(write)

    def stream(self, track: Track, dialect: Dialect, after: int, keeps: bool) -> Stream:
        """A place in an answer, to `write` from; whoever keeps the track as well holds it whole."""
        return Stream(self._requests.logs, track, dialect, after + 1, keeps)

    async def write(self, streams: list[Stream], wire: Wire, parting: bytes) -> None:
        """Write up to the end of them all, or the first failure, as `response` says."""
        for stream in streams:
            stream.hold()
            wire.gone.add_done_callback(partial(_wake, stream))
        self._open.update(streams)
        told = streams[0] if len(streams) == 1 else SideBySide(streams)
        try:
            await self._write(told, wire)
            if parting and not told.ended:
                await wire.write(parting)
        finally:
            self._open.difference_update(streams)
            for stream in streams:
                if stream.unfinished and not stream.keeps:
                    self.hang_up(stream.track)
                stream.release()

    async def _write(self, told: Stream | SideBySide, wire: Wire) -> None:
        """Write up to the end, as long as the client stays and the gateway does."""
        while not (self._closing or wire.gone.done()):
            data = told.take(WINDOW)
            if data:
                await wire.write(data)
            if told.ended:
                return
            if not data:
                told.seek()
                await told.changed()

    async def first_change(self, track: Track, client: Client) -> bool:
        """Wait for a request's first piece or its end, as long as its headers may be held.

        False if the client left, or the gateway has to stop.
        """
        try:
            async with asyncio.timeout_at(client.until):
                await self._watch(track, client, lambda run: bool(run.texts) or run.end is not None)
        except TimeoutError:
            pass
        return not (self._closing or client.gone.done())

    async def ended(self, track: Track, client: Client) -> bool:
        """Wait for a request's end; False if the client left, or the gateway has to stop."""
        await self._watch(track, client, lambda run: run.end is not None)
        return track.run.end is not None

    async def _watch(self, track: Track, client: Client, holds: Callable[[Run], bool]) -> None:
        """Wait until something holds of the run, as long as the client and the gateway stay."""

        def wake(_: object) -> None:
            track.wake()

        client.gone.add_done_callback(wake)
        self._waiting[client] = track
        try:
            with self._requests.logs.reading(track):
                await track.until(lambda run: holds(run) or self._closing or client.gone.done())
        finally:
            client.gone.remove_done_callback(wake)  # it would hold all of the answer to its end
            del self._waiting[client]

    async def tick(self) -> None:
        """Let each silent stream say that it lives; until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            for stream in list(self._open):
                stream.tick(now, self._keep_alive)

    async def close(self) -> None:
        """Break off all streams, and all waiting. Who does not read is not waited for long."""
        self._closing = True
        self._stopping.set_result(None)
        for track in [stream.track for stream in self._open] + list(self._waiting.values()):
            track.wake()
        until = time.monotonic() + PARTING
        while self._open or self._waiting or self._telling or self._accepting:
            if time.monotonic() > until:
                log.warning("%d streams are left that nobody reads", len(self._open))
                return
            await asyncio.sleep(0.01)

    async def settle(self) -> None:
        """Give what is done for clients who have left a moment to come to an end."""
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=MOMENT)
        for task in self._leaving:
            task.cancel()


def _wake(stream: Stream, gone: asyncio.Future[None]) -> None:
    stream.wake()


async def _too_late(accepting: asyncio.Task[T], left: Callable[[T], None]) -> None:
    """See to what was accepted after its client had left; a refusal is the end of it."""
    with suppress(MeshError):
        left(await accepting)


def refused(track: Track) -> None:
    """Raise the MeshError of a request that failed before its first piece."""
    end = track.run.end
    if isinstance(end, Failed) and not track.run.texts:
        raise refusal(end)
