"""Reads the events of one request from the stored log: the first, the last, or all of them.

By the leader's word, so that none is missing. Its frames are read by `replay.py`.
"""

from math import inf

from mesh.bus.entries import apply, read_event
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import Stored
from mesh.protocol import subjects
from mesh.protocol.events import Queued
from mesh.protocol.run import Run


async def last_event(js: JetStream, rid: str, reply: str = "*") -> Stored | None:
    """The leader's last event of a request, at its address if that is known; None where the log has
    none (any more)."""
    return await js.last(subjects.RUN_STREAM, subjects.events_of(rid, reply))


async def anchor(
    js: JetStream, rid: str, upto: float = inf, reply: str = "*"
) -> tuple[Stored, Queued] | None:
    """The `queued` event of a request, at its address if that is known; None where the log has it
    no more. It was fenced against all addresses, so at none there is an earlier one.

    By the leader's word, for a replica that lags behind may not have it yet.
    """
    first = await js.next(subjects.RUN_STREAM, subjects.events_of(rid, reply), 1)
    event = None if first is None or first.seq > upto else read_event(first)
    return (first, event) if first is not None and isinstance(event, Queued) else None


async def events(js: JetStream, rid: str) -> list[Stored]:
    """All events of a request in order, by the leader's word; none where the log has it not. What
    the log has forgotten is missing at the beginning. Raises BusError."""
    found = await chain(js, rid)
    if found and not _all_of_one(rid, found):
        began = await anchor(js, rid)
        if began is not None:
            return await _forwards(js, rid, began[1].request.reply, began[0])
    return found


def _all_of_one(rid: str, found: list[Stored]) -> bool:
    """Whether these are a request from its beginning on. Who has gone mad may have written among
    them, or elsewhere, what was fenced with nothing, or with another request."""
    places = {subjects.parse_run(stored.subject)[:3] for stored in found}
    told = len(places) == 1 and places.pop()[2] == rid
    return told and isinstance(read_event(found[0]), Queued)


async def _forwards(js: JetStream, rid: str, reply: str, first: Stored) -> list[Stored]:
    """All events of a request from its first one on, one after the other: that takes its time."""
    last, wanted = await last_event(js, rid, reply), subjects.events_of(rid, reply)
    found = [first]
    while last is not None and found[-1].seq < last.seq:
        more = await js.next(subjects.RUN_STREAM, wanted, found[-1].seq + 1)
        if more is None:
            break
        found.append(more)
    return found


async def chain(js: JetStream, rid: str, reply: str = "*") -> list[Stored]:
    """What was told under an id, of all addresses or one, each fenced with the one before.

    They are followed from the last one back: to look for them forwards the broker would pass over
    all that lies between them. Raises BusError.
    """
    last = await last_event(js, rid, reply)
    found = [] if last is None else [last]
    while found and found[-1].expected:
        before = await js.get(subjects.RUN_STREAM, found[-1].expected)
        if before is None:
            break
        found.append(before)
    return found[::-1]


async def story(js: JetStream, rid: str) -> Run | None:
    """How a request stands by its events alone (`Run.bare`), or None where the log has it not.

    Cheap, however long the answer and the log are. Raises BusError.
    """
    found = await events(js, rid)
    run = Run(bare=True)
    for stored in found:
        apply({rid: run}, stored)
    return run if found else None
