"""A run as it goes, as Server-Sent Events: how it stands, and what is thought and said meanwhile.

All of it comes from the log, so any gateway tells it, as often as it is asked for; the pieces of
all answers are numbered through, and a reader goes on behind the last one that it has.
"""

import asyncio
import time
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from mesh.gateway.event_stream import EventStream, Wire
from mesh.gateway.openai.speech import Delta, Speech
from mesh.gateway.runs.shapes import RUN, RequiredAction, required
from mesh.gateway.runs.speaking import speech_of
from mesh.gateway.services import Services
from mesh.gateway.stream import KEEP_ALIVE, Dialect, Stream
from mesh.gateway.streams import CUT
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.run import Run
from mesh.protocol.tool_story import Status, ToolStory, outcome, rid_of
from mesh.protocol.tools import RunOver

SOON, LATER = 0.02, 1.0
"""Seconds between two looks for what comes next: at first, and at last."""

AGAIN = 0.9 * LATER
"""Seconds after which it is said again how a run stands that waits: with the next look."""


class RunEvent(Struct, frozen=True, kw_only=True, tag_field="type"):
    """The base of the events of a run."""


class StatusEvent(RunEvent, frozen=True, kw_only=True, tag="status", omit_defaults=True):
    """How the run stands: whenever that changes, and each second while nothing is said."""

    run_id: str
    status: Status
    required_action: RequiredAction | None = None


class ReasoningEvent(RunEvent, frozen=True, kw_only=True, tag="reasoning"):
    """What the model thinks, where its template marks that."""

    content: str


class ContentEvent(RunEvent, frozen=True, kw_only=True, tag="content"):
    """What it says."""

    content: str


class RunErrorEvent(RunEvent, frozen=True, kw_only=True, tag="error"):
    """Why the run failed: a code, and a sentence."""

    code: ErrorCode
    content: str


EVENTS = (StatusEvent, ReasoningEvent, ContentEvent, RunErrorEvent, Literal["[DONE]"])

DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.Encoder().encode


class Voice(Protocol):
    """How a run is told: in which events, that is. Each method returns them, or nothing."""

    def answer(self, speech: Speech, first: int, after: int) -> Dialect:
        """What tells one answer. first: the number of its first piece; after: the last one that
        the reader has."""
        ...

    def waits(self, story: ToolStory) -> bytes:
        """It waits for outcomes of calls, or nobody has asked its model yet."""
        ...

    def over(self, over: RunOver) -> bytes:
        """That was all."""
        ...

    def parting(self) -> bytes:
        """It ends before that: the gateway has to stop, or the broker is away."""
        ...


def follow(
    services: Services, story: ToolStory, after: int, voice: Voice | None = None
) -> EventStream:
    """The events of a run behind piece `after` (-1: all), up to its end. voice: another than that
    of the routes of runs."""
    voice = voice or _Status(RUN + story.run.id)
    return EventStream(_Telling(services, story, after, voice).write)


class _Telling:
    """One reader's place in a run."""

    def __init__(self, services: Services, story: ToolStory, after: int, voice: Voice) -> None:
        self._services = services
        self._story = story
        self._voice = voice
        self._after = after
        self._step = 0
        self._pieces = 0
        self._pause = SOON
        self._written = time.monotonic()

    async def write(self, wire: Wire) -> None:
        """Write up to the end, as long as the client stays and the gateway does."""
        with self._services.streams.telling():
            try:
                whole = await self._tell(wire)
            except MeshError:
                whole = False  # the broker is away
            if not whole and not wire.gone.done():
                await self._write(wire, self._voice.parting())

    async def _tell(self, wire: Wire) -> bool:
        """Tell what comes; whether all was told. Raises MeshError (broker_unavailable)."""
        while not self._left(wire):
            known = self._services.conductor.known(self._story.run.id)
            story = await self._services.telling.read(self._story.run.id)
            if story is None:
                return False  # the log has lost it: whoever asks again hears that
            self._story = story
            await self._answers(wire)
            if self._left(wire):
                return False
            if await self._stands(wire):
                return True
            await self._wait(wire, known)
        return False

    def _left(self, wire: Wire) -> bool:
        return wire.gone.done() or self._services.lookout.closing.is_set()

    async def _answers(self, wire: Wire) -> None:
        """Tell the answers that there are by now. The log may have forgotten the first ones."""
        while self._step <= len(self._story.steps) and not self._left(wire):
            place = await self._place()
            if place is None and self._step == len(self._story.steps):
                return  # nobody has asked yet
            if place is not None:
                await self._services.streams.write([place], wire, parting=b"")
                if not place.ended:
                    return
                self._pieces += place.sent + 1
            self._step += 1
            self._pause = SOON

    async def _place(self) -> Stream | None:
        """The beginning of the next answer, or None. The track is the stream's alone, to let go."""
        track = await self._services.requests.logs.find(rid_of(self._story.run.id, self._step))
        if track is None:
            return None
        speech = speech_of(self._services.models, self._story.run, track.rid)
        dialect = self._voice.answer(speech, self._pieces, self._after)
        return self._services.streams.stream(track, dialect, -1, keeps=True)

    async def _stands(self, wire: Wire) -> bool:
        """Tell how it stands, where that is no answer's affair; True once that was all."""
        story = self._story
        if story.over is not None and self._step >= len(story.steps):
            await wire.write(self._voice.over(story.over))
            return True
        unasked = story.over is None and self._step == len(story.steps)
        if story.pending or unasked:
            await self._write(wire, self._voice.waits(story))
        return False

    async def _wait(self, wire: Wire, known: int) -> None:
        """Wait for news; that somebody has asked is none, so it is looked for."""
        if self._story.pending:
            await self._services.conductor.changed(self._story.run.id, known, LATER)
        else:
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause, LATER)
        if time.monotonic() - self._written > self._services.settings.keep_alive:
            await self._write(wire, KEEP_ALIVE)

    async def _write(self, wire: Wire, data: bytes) -> None:
        if data:
            await wire.write(data)
            self._written = time.monotonic()


class _Status:
    """The voice of the routes of runs, and what was last told of how one stands."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._last: Status | None = None
        self._said = 0.0

    def answer(self, speech: Speech, first: int, after: int) -> Dialect:
        return _Answer(speech, self, first, after)

    def waits(self, story: ToolStory) -> bytes:
        status: Status = "in_progress" if story.steps else "queued"
        if story.pending:
            status = "requires_action"
        if status == self._last and time.monotonic() - self._said < AGAIN:
            return b""
        return self.say(status, required(story))

    def over(self, over: RunOver) -> bytes:
        data = b""
        if over.code is not None:
            data = _event(RunErrorEvent(code=over.code, content=over.detail or over.code.sentence))
        return data + self.change(outcome(over)) + DONE

    def parting(self) -> bytes:
        return CUT

    def change(self, status: Status) -> bytes:
        """The event, unless it stood so before."""
        return b"" if status == self._last else self.say(status)

    def say(self, status: Status, action: RequiredAction | None = None) -> bytes:
        """The event."""
        self._last, self._said = status, time.monotonic()
        return _event(StatusEvent(run_id=self._run_id, status=status, required_action=action))


class _Answer:
    """The events of one answer. first: the number of its first piece; after: the last one that the
    reader has."""

    def __init__(self, speech: Speech, status: _Status, first: int, after: int) -> None:
        self._speech = speech
        self._status = status
        self._first = first
        self._after = after

    def tokens(self, run: Run, index: int, upto: int) -> bytes:
        said = [
            self._said(self._speech.feed(text), self._first + at)
            for at, text in enumerate(run.pieces(index, upto), index)
        ]
        return self._status.change("in_progress") + b"".join(said)

    def end(self, run: Run) -> bytes:
        return self._said(self._speech.finish(), self._first + run.count)

    def tick(self, run: Run) -> bytes:
        if run.texts or run.end is not None:
            return b""
        return self._status.say("in_progress" if run.n or self._first else "queued")

    def _said(self, delta: Delta, number: int) -> bytes:
        if number <= self._after:
            return b""
        data = b""
        if delta.reasoning:
            data += _event(ReasoningEvent(content=delta.reasoning), number)
        if delta.content:
            data += _event(ContentEvent(content=delta.content), number)
        return data


def _event(event: RunEvent, number: int | None = None) -> bytes:
    place = b"" if number is None else b"id: %d\n" % number
    return place + b"data: %b\n\n" % _encode(event)
