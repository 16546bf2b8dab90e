"""Reads one message of the log: an event with its place in the log, or why it is none. Pure."""

from dataclasses import dataclass

from msgspec import DecodeError

from mesh.bus.stored import Stored
from mesh.protocol.codec import decode_event, decode_tool_event
from mesh.protocol.events import Claim, LogEvent, Queued, WorkerLost, WorkerStarted, WorkerStopped
from mesh.protocol.subjects import FLEET, TOOLS, RunSubject, Writer, parse_run, process
from mesh.protocol.tool_story import WRITER
from mesh.protocol.tools import RunBegun, ToolEvent


@dataclass(frozen=True, slots=True)
class Record:
    """An event of the log. at: Unix time by the broker; rid: whose story it belongs to; reply: the
    address at which it is told."""

    seq: int
    at: float
    rid: str
    writer: Writer
    reply: str
    event: LogEvent | ToolEvent

    @property
    def worker_event_keys(self) -> tuple[str, ...]:
        """The keys of the worker events that this event may lead to, for reading them ahead."""
        match self.event:
            case Claim(n=n):
                return (claim_key(self.rid, n),)
            case _:
                return (self.rid,)


class Unreadable(ValueError):
    """A message of the log that is no event of this protocol version; the text says why."""


def claim_key(rid: str, n: int) -> str:
    """The key of a `claimed` worker event."""
    return f"{rid}.{n}"


def read(stored: Stored) -> Record:
    """The event in a stored message. Raises Unreadable."""
    try:
        where = parse_run(stored.subject)
        event: LogEvent | ToolEvent
        if where.reply == TOOLS:
            event = decode_tool_event(stored.data)
        else:
            event = decode_event(stored.data)
    except (DecodeError, ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    if _story(event, where) != (where.kind, where.reply == FLEET, where.rid):
        raise Unreadable(f"a {type(event).__name__} of another story than {stored.subject} tells")
    if isinstance(event, Queued) and where.writer.user != WRITER:
        raise Unreadable(f"{where.writer.user} queues nothing: it is no gateway")
    return Record(stored.seq, stored.at, where.rid, where.writer, where.reply, event)


def _story(event: LogEvent | ToolEvent, where: RunSubject) -> tuple[str, bool, str]:
    """The story an event belongs to: its kind of subject, whether it is the fleet's, its id."""
    match event:
        case Queued(request=request):
            return "evt", False, request.rid
        case RunBegun(run=run):
            return "evt", False, run.id
        case WorkerStarted():
            return "evt", True, process(where.writer)
        case WorkerStopped(name=name, inc=inc) | WorkerLost(name=name, inc=inc):
            return "evt", True, process(Writer(name, inc))
        case _:
            return "evt", False, where.rid
