"""What a message of the log says: an event or a frame, whether it stands where its writer may write
it, and what it does to the requests it is about. Reads no log."""

import logging
from collections.abc import Mapping

import msgspec

from mesh.bus.one_by_one import passing_over
from mesh.bus.stored import Stored
from mesh.protocol import subjects
from mesh.protocol.codec import decode_event, decode_frame
from mesh.protocol.events import FleetEvent, LogEvent, Queued, RunEvent
from mesh.protocol.frames import Frame
from mesh.protocol.run import Applied, Run
from mesh.protocol.subjects import RunSubject
from mesh.protocol.tool_story import WRITER

log = logging.getLogger(__name__)


def read_event(stored: Stored) -> LogEvent | None:
    """The event in a stored message; None, with a warning, where it cannot be read, or says what
    is not its writer's to say, or not there."""
    try:
        event = decode_event(stored.data)
    except msgspec.DecodeError as error:
        log.warning("The log's message %d cannot be read: %s", stored.seq, error)
        return None
    if not _in_place(stored, event):
        log.warning("The log's message %d is out of place: %s", stored.seq, stored.subject)
        return None
    return event


def request_event(stored: Stored, where: RunSubject) -> RunEvent | None:
    """The event of a request in a stored message; None for what is told of workers and of runs that
    call tools, and for what `read_event` makes nothing of."""
    event = None if where.reply in subjects.NO_REQUESTS else read_event(stored)
    return None if isinstance(event, FleetEvent) else event


def _in_place(stored: Stored, event: LogEvent) -> bool:
    """Whether this writer may write this event here: gateways alone queue, under the request's own
    id; workers' comings and goings stand under FLEET alone."""
    where = subjects.parse_run(stored.subject)
    if isinstance(event, Queued):
        return where.writer.user == WRITER and where.rid == event.request.rid
    if isinstance(event, FleetEvent):
        return where.reply == subjects.FLEET
    return True


def read_frame(stored: Stored) -> Frame | None:
    """The token frame in a stored message; None, with a warning, where it cannot be read."""
    try:
        return decode_frame(stored.data)
    except msgspec.DecodeError as error:
        log.warning("The log's message %d cannot be read: %s", stored.seq, error)
        return None


def apply(runs: Mapping[str, Run], stored: Stored, in_order: bool = False) -> bool:
    """Apply one stored message to those of the given requests (by rid) that it is about.

    False if something before it is missing in one of them. in_order: as in `Run.event`. One that
    cannot be handled is passed over, and changes nothing.
    """
    with passing_over(stored):
        return _apply(runs, stored, in_order)
    return True


def _apply(runs: Mapping[str, Run], stored: Stored, in_order: bool) -> bool:
    where = subjects.parse_run(stored.subject)
    found: list[Applied] = []
    if where.kind == "evt" and (run := _at(runs, where.rid, where.reply)) is not None:
        event = read_event(stored)
        if event is None or isinstance(event, FleetEvent):
            run.skip(stored.seq)
        else:
            found.append(run.event(event, where.writer, stored.seq, in_order))
    elif where.kind == "tok":
        frame = read_frame(stored)
        for at, entry in enumerate(frame.entries if frame else ()):
            run = _at(runs, entry.rid, where.reply)
            if run is not None and frame is not None:
                found.append(run.entry(entry, where.writer, frame.odds_of(at)))
    return Applied.GAP not in found


def _at(runs: Mapping[str, Run], rid: str, reply: str) -> Run | None:
    """The run this message is about; None if it stands at another address than the run's own: what
    a worker that has gone mad writes there counts for nothing."""
    run = runs.get(rid)
    began = None if run is None else run.queued
    return None if began is not None and began.request.reply != reply else run
