"""Reads requests' stories from the stored log: one shared pass for all who ask at once.

Not live: what a replay returns holds everything that was stored before it was asked for.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

import msgspec

from mesh.bus.connection import BusError
from mesh.bus.jetstream import WHATEVER_COMES, JetStream, Stored
from mesh.bus.log_end import LASTS, Outdated
from mesh.bus.one_by_one import passing_over
from mesh.protocol import subjects
from mesh.protocol.codec import decode_event, decode_frame
from mesh.protocol.messages import FleetEvent, Frame, LogEvent, Queued, RunEvent
from mesh.protocol.run import Applied, Run
from mesh.protocol.subjects import RunSubject
from mesh.protocol.tool_story import WRITER

log = logging.getLogger(__name__)

RETRY = 0.2
"""Seconds between two tries of a read that failed."""


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
            run.passed(stored.seq)
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


@dataclass
class _Pass:
    """One pass over an address: the requests wanted, from which sequence on, and up to where.

    known: the last sequence that somebody who asks knows to be there, 0 where nobody does; failed:
    why it came to nothing, for all who share it.
    """

    start: int
    upto: int = 0
    known: int = 0
    runs: dict[str, Run] = field(default_factory=dict)
    finished: bool = False
    failed: Outdated | None = None


class Replays:
    """The replayers of all addresses, one for each."""

    def __init__(self, js: JetStream) -> None:
        self._js = js
        self._of: dict[str, Replayer] = {}

    async def run(self, rid: str, queued: Queued, start: int, upto: int = WHATEVER_COMES) -> Run:
        """The state of a request as in `Replayer.run`; queued: its first event, at `start`.

        Raises Outdated.
        """
        reply = queued.request.reply
        replayer = self._of.setdefault(reply, Replayer(self._js, reply))
        try:
            return await replayer.run(rid, start, upto)
        finally:
            if replayer.idle:
                self._of.pop(reply, None)


class Replayer:
    """Replays requests of one reply address; those who ask while it reads share the next pass."""

    def __init__(self, js: JetStream, reply: str) -> None:
        self._js = js
        self._reply = reply
        self._next: _Pass | None = None
        self._busy = asyncio.Lock()

    @property
    def idle(self) -> bool:
        """Whether nobody reads, or waits to."""
        return self._next is None and not self._busy.locked()

    async def run(self, rid: str, start: int, upto: int = WHATEVER_COMES, known: int = 0) -> Run:
        """The state of a request whose first event is at `start`, or after it, as it stood at
        `upto` or later. upto: a sequence of this address that was stored, or WHATEVER_COMES; then
        `known` is one that was stored, of whatever address.

        Tries until the log was read; cancel it to give up. Raises Outdated where the log's leader
        has lacked `upto`, or `known`, for LASTS seconds.
        """
        if self._next is None:
            self._next = _Pass(start)
        wanted = self._next
        wanted.start, wanted.upto = min(wanted.start, start), max(wanted.upto, upto)
        wanted.known = max(wanted.known, known if upto == WHATEVER_COMES else upto)
        wanted.runs.setdefault(rid, Run())
        async with self._busy:
            if self._next is wanted:
                self._next = None
            if wanted.failed is not None:
                raise wanted.failed
            if not wanted.finished:
                await self._read(wanted)
        return wanted.runs[rid]

    async def _read(self, wanted: _Pass) -> None:
        """Apply the address, to where the leader says it ends at most: a replica may lag behind."""
        log_of, clock = subjects.log_of(self._reply), asyncio.get_running_loop().time
        at, target, lacked = wanted.start, None, inf
        while target is None or at <= target:
            try:
                if target is None:
                    target = min(wanted.upto, await self._end(wanted.known))
                    lacked = inf
                async for batch in self._js.read(subjects.RUN_STREAM, log_of, at, target):
                    for stored in batch:
                        apply(wanted.runs, stored, in_order=True)
                    at = batch[-1].seq + 1
                    if all(run.end is not None for run in wanted.runs.values()):
                        target = at - 1  # what comes after an end counts for nothing
                        break
                if at <= target:
                    more = await self._js.next(subjects.RUN_STREAM, log_of, at)
                    if more is not None and more.seq <= target:
                        at = more.seq
                    elif at > wanted.known or not await self._ours(wanted.known):
                        break
                    await asyncio.sleep(RETRY)  # a replica that lags behind has answered
            except Outdated as error:
                lacked = min(lacked, clock())
                if clock() - lacked > LASTS:
                    wanted.failed = error
                    raise
                await asyncio.sleep(RETRY)
            except BusError as error:
                lacked = inf  # who says nothing does not say that it lacks anything
                log.debug("Replaying %s: %s", self._reply, error)
                await asyncio.sleep(RETRY)
        for run in wanted.runs.values():
            run.read = target or 0
        wanted.finished = True

    async def _end(self, known: int) -> int:
        """Where the log ends. Raises Outdated where it is said to end before what is known of it:
        by a leader that has just become one, in a cluster that comes together again."""
        end = await self._js.end(subjects.RUN_STREAM)
        if end < known:
            raise Outdated(f"the log is said to end at {end}, and {known} was there")
        return end

    async def _ours(self, known: int) -> bool:
        """Whether a message is one of this address. Raises Outdated where the leader lacks it."""
        stored = await self._js.get(subjects.RUN_STREAM, known)
        if stored is None:
            raise Outdated(f"the log is said to lack {known}, and it was there")
        return subjects.parse_run(stored.subject).reply == self._reply
