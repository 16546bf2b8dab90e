"""Asks tool services to do what a model called, and tells in the log what came of it.

A tool that nobody serves is left to the client. A service that was asked and says nothing is
asked again, under the same id: what it did then, it knows.
"""

import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import DecodeError

from mesh.bus.connection import Bus, BusError, NoResponders, Silence
from mesh.bus.trace import working_for
from mesh.gateway.runs.telling import Telling
from mesh.protocol import subjects
from mesh.protocol.codec import decode_tool_reply
from mesh.protocol.errors import MeshError
from mesh.protocol.questions import Refused
from mesh.protocol.request import ToolCall
from mesh.protocol.tool_story import ToolStory
from mesh.protocol.tools import CallTool, ToolAnswer, ToolReply
from mesh.protocol.trace_context import TraceContext

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that a service may take before it is asked again."""

LONGEST = 1 << 20
"""Characters of an outcome; the rest would not fit into any model's context."""


class Callers:
    """The calls that this gateway waits for."""

    def __init__(
        self,
        bus: Bus,
        telling: Telling,
        background: Callable[[Coroutine[Any, Any, None]], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bus = bus
        self._telling = telling
        self._background = background
        self._clock = clock
        self._asking: set[str] = set()

    def call(self, story: ToolStory) -> None:
        """Ask for all that a run waits for, in the background, save what was asked for already."""
        for call in story.pending:
            if call.id not in self._asking:
                self._asking.add(call.id)
                self._background(self._call(story, call))

    async def _call(self, story: ToolStory, call: ToolCall) -> None:
        try:
            answer = await self._ask(story, call)
            if answer is not None:
                run_id = story.run.id
                await self._telling.settle(
                    run_id, call.id, answer.output[:LONGEST], answer.failed, by="service"
                )
        except (BusError, MeshError, DecodeError) as error:
            log.debug("The tool %s: %s", call.name, error)
        finally:
            self._asking.discard(call.id)

    async def _ask(self, story: ToolStory, call: ToolCall) -> ToolAnswer | None:
        """What a service says; None where nobody serves the tool, or nobody answers in time."""
        deadline = min(story.steps[-1].deadline, story.run.deadline)
        asked = CallTool(
            id=f"{story.run.id}.{call.id}",
            name=call.name,
            arguments=call.arguments,
            deadline=deadline,
        )
        seconds = max(0.1, min(PATIENCE, deadline - self._clock()))
        run = story.run
        try:
            with working_for(run.trace, TraceContext(run.traceparent, run.tracestate)):
                heard = await self._bus.ask(subjects.tool(call.name), asked, seconds)
        except (NoResponders, Silence):
            return None
        reply: ToolReply = decode_tool_reply(heard.data)
        if isinstance(reply, Refused):
            return ToolAnswer(output=reply.detail or reply.code.sentence, failed=True)
        return reply
