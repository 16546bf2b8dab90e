"""Appends to the log that survive trouble: events fenced by sequence. Frames: `frames.py`.

Not a reader: whoever appends learns only its own sequences, and `Fenced` when somebody else was
there first.
"""

import asyncio
import logging
from secrets import token_hex

from mesh.bus.api import TRANSIENT_LAST, WRONG_LAST, ApiError
from mesh.bus.connection import BusError, Disconnected, NoResponders, Silence
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import fence
from mesh.protocol import subjects
from mesh.protocol.codec import encode
from mesh.protocol.events import LogEvent, Queued, RunEvent
from mesh.protocol.request import Request
from mesh.protocol.subjects import Writer
from mesh.protocol.tools import ToolEvent

log = logging.getLogger(__name__)

RETRY = 0.1
"""Seconds between two tries of an append that was not answered."""

UNANSWERED = (Disconnected, Silence, NoResponders)
"""No broker, no answer, or no server that leads the stream just now, as a cluster says it."""


class Fenced(BusError):
    """The log has moved on since the sequence this append expected: read it again.

    It may have been moved by this very append, if an earlier try had landed unanswered: look for
    its `uid`. `found` is the last sequence by the broker's word, None where it did not say.
    """

    def __init__(self, description: str, found: int | None) -> None:
        super().__init__(description)
        self.found = found


def new_uid() -> str:
    """An id for one append, or one start of a process: 16 hex digits."""
    return token_hex(8)


def new_secret_uid() -> str:
    """One for an append whose id clients read as that of what it says: 32 hex digits, which nobody
    guesses."""
    return token_hex(16)


async def persist(js: JetStream, subject: str, data: bytes, headers: dict[str, str]) -> int:
    """Append until it is answered, however often the broker goes away. Raises Fenced.

    Repeating is harmless because the fence lets only one try through.
    """
    while True:
        try:
            return await js.append(subject, data, headers)
        except ApiError as error:
            if error.code == WRONG_LAST:
                raise Fenced(error.description, error.found) from error
            if error.code != TRANSIENT_LAST:
                log.warning("The log refused an append: %s; trying again", error)
        except UNANSWERED:
            pass
        await asyncio.sleep(RETRY)


async def append_event(
    js: JetStream,
    reply: str,
    rid: str,
    writer: Writer,
    event: LogEvent | ToolEvent,
    expected: int,
) -> int:
    """Append an event of a request if `expected` is the sequence of its last one; 0: it has none.

    A request begins at one address only, and from then on what somebody writes of it at another
    counts for nothing, and stands in nobody's way. Returns the new sequence; waits out a broker
    that is away. Raises Fenced.
    """
    headers = fence(expected, subjects.events_of(rid, "*" if isinstance(event, Queued) else reply))
    return await persist(js, subjects.event(reply, rid, writer), encode(event), headers)


async def append_to(
    js: JetStream, request: Request, writer: Writer, event: RunEvent, expected: int
) -> int:
    """`append_event` at the request's own address. Raises Fenced."""
    return await append_event(js, request.reply, request.rid, writer, event, expected)
