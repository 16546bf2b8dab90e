"""Reads and writes the stories of runs that call tools. Decides nothing about them."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from msgspec import DecodeError

from mesh.bus.appender import Fenced, append_event, new_secret_uid, new_uid
from mesh.bus.connection import BusError
from mesh.bus.history import chain, last_event
from mesh.bus.jetstream import JetStream
from mesh.bus.one_by_one import one_by_one
from mesh.bus.stored import Stored
from mesh.gateway.errors import broker_away
from mesh.gateway.keys import check_whole, led_elsewhere
from mesh.protocol import subjects
from mesh.protocol.codec import decode_tool_event, encode
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.subjects import Writer
from mesh.protocol.tool_story import ToolStory
from mesh.protocol.tools import ActionDone, KeyLed, RunBegun, ToolEvent, ToolRun

T = TypeVar("T")
log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds that reading or writing a story may take before the broker counts as unavailable."""

HEADERS = 1024
"""Bytes of a message that are not its event's."""


class Telling:
    """The stories in the log, read and written by one gateway. writer: how it signs."""

    def __init__(self, js: JetStream, writer: Writer) -> None:
        self._js = js
        self._writer = writer

    async def read(self, run_id: str) -> ToolStory | None:
        """A run's story, or None where the log has it not (any more).

        Raises MeshError (broker_unavailable).
        """
        return await in_time(self._read(run_id))

    async def begin(self, run: ToolRun, body: str, whole: str = "") -> ToolStory:
        """Accept a run; one that was accepted before under the same id is returned instead.

        body, whole: digests, as in `RunBegun`. Raises MeshError: conflict (same id, other body),
        too_large, broker_unavailable.
        """
        event = RunBegun(uid=new_uid(), run=run, body=body, whole=whole)
        self.check(event)
        try:
            await in_time(self.append(run.id, event, 0))
        except Fenced:
            pass
        story = await self.read(run.id)
        if story is None or story.begun is None:
            raise broker_away()
        if story.begun.body != body:
            raise led_elsewhere()
        check_whole(story.begun.whole, whole)
        return story

    def check(self, *events: ToolEvent) -> None:
        """Raise MeshError (too_large) for what is too large to be told."""
        most = self._js.bus.max_payload - HEADERS
        if any(len(encode(each)) > most for each in events):
            raise MeshError(ErrorCode.TOO_LARGE)

    async def note(self, id: str, thread_id: str) -> None:
        """Tell on which thread a key begins a run, under an id that is made of the key alone.

        Raises MeshError: conflict (another thread), broker_unavailable.
        """
        try:
            await in_time(self.append(id, KeyLed(uid=new_uid(), thread=thread_id), 0))
        except Fenced:
            if await self.noted(id) != thread_id:
                raise led_elsewhere() from None

    async def noted(self, id: str) -> str:
        """The thread that was noted under such an id, or "". Raises MeshError."""
        stored = await in_time(last_event(self._js, id, subjects.TOOLS))
        if stored is None:
            return ""
        try:
            event = decode_tool_event(stored.data)
        except DecodeError as error:
            log.warning("The log's message %d cannot be read: %s", stored.seq, error)
            return ""
        return event.thread if isinstance(event, KeyLed) else ""

    async def append(self, run_id: str, event: ToolEvent, expected: int) -> int:
        """Tell an event behind the one at sequence `expected`. Raises Fenced."""
        return await append_event(self._js, subjects.TOOLS, run_id, self._writer, event, expected)

    async def settle(self, run_id: str, call: str, output: str, failed: bool, by: str) -> bool:
        """Tell what came of a call; false if that, or the end of the run, stands there already.

        Raises MeshError (broker_unavailable).
        """
        while True:
            story = await self.read(run_id)
            if story is None or call not in {each.id for each in story.pending}:
                return False
            done = ActionDone(uid=new_secret_uid(), call=call, output=output, failed=failed, by=by)
            try:
                await in_time(self.append(run_id, done, story.last))
                return True
            except Fenced:
                continue

    async def settle_all(self, story: ToolStory, done: Sequence[ActionDone]) -> bool:
        """Tell what came of calls that a story waits for, behind what was read of it.

        False if more was told of the run meanwhile: whoever is first says all, or nothing.
        Raises MeshError: too_large, broker_unavailable.
        """
        self.check(*done)
        last = story.last
        try:
            for each in done:
                last = await in_time(self.append(story.run.id, each, last))
        except Fenced:
            return False
        return True

    async def open(self) -> list[ToolStory]:
        """All runs that are not over. Raises BusError."""
        address = subjects.log_of(subjects.TOOLS)
        end = await self._js.end(subjects.RUN_STREAM)
        stories: dict[str, ToolStory] = {}

        def hear(stored: Stored) -> None:
            rid = subjects.parse_run(stored.subject).rid
            _apply(stories.setdefault(rid, ToolStory()), stored)

        async for batch in self._js.read(subjects.RUN_STREAM, address, 1, end):
            one_by_one(batch, hear)
        return [each for each in stories.values() if each.begun is not None and each.over is None]

    async def _read(self, run_id: str) -> ToolStory | None:
        found = await chain(self._js, run_id, subjects.TOOLS)
        story = ToolStory()
        for stored in found:
            _apply(story, stored)
        return story if story.begun is not None else None


def _apply(story: ToolStory, stored: Stored) -> None:
    try:
        event = decode_tool_event(stored.data)
    except DecodeError as error:
        log.warning("The log's message %d cannot be read: %s", stored.seq, error)
        return
    story.apply(event, subjects.parse_run(stored.subject).writer.user, stored.seq)


async def in_time(work: Coroutine[Any, Any, T]) -> T:
    """What is asked of the broker. Raises MeshError (broker_unavailable) after PATIENCE seconds."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await work
    except Fenced:
        raise
    except (BusError, TimeoutError) as error:
        raise broker_away() from error
