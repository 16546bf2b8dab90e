"""The truth of a campaign: every request's story with its times, as the log alone has it."""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from mesh.bus.connection import Bus, BusError, Silence
from mesh.bus.entries import read_event, read_frame
from mesh.bus.jetstream import JetStream
from mesh.bus.replay import RETRY
from mesh.bus.stored import Stored
from mesh.cli.enrol import Credential
from mesh.protocol import subjects
from mesh.protocol.events import Cancel, Claim, Queued
from mesh.protocol.run import Run
from mesh.protocol.subjects import Writer
from mesh.protocol.tool_story import WRITER
from tests.truth import Truth

ATTEMPTS = 10
"""Times that the log is read before a replica that lacks some of it is given up."""


class Reachable(Protocol):
    """A broker, or several that are one, as a reader of the log needs it."""

    @property
    def url(self) -> str: ...

    def credentials(self, user: str) -> Credential: ...


class Claimed(NamedTuple):
    """A claim that counted: when the broker stored it, and whose it was.

    lost: it says that the holder before was lost without a word; place: pieces that there were.
    """

    at: float
    writer: Writer
    lost: bool = False
    place: int = 0


@dataclass
class Story:
    """One request. number: the one that its question names; asked, ended: Unix times by the broker;

    written: when each frame with pieces of it was stored; stop_asked: when it was first asked to
    stop, 0.0: never.
    """

    rid: str
    run: Run
    claims: list[Claimed]
    ends: int
    ended: float
    written: list[float]
    asked: float = 0.0
    stop_asked: float = 0.0

    @property
    def number(self) -> int:
        assert self.run.queued is not None
        asked = self.run.queued.request.messages[-1].content
        return int(asked.split("#")[1].split()[0])

    @property
    def model(self) -> str:
        assert self.run.queued is not None
        return self.run.queued.request.model


class TimedTruth(Truth):
    """Remembers when things happened as well."""

    def __init__(self) -> None:
        super().__init__()
        self._claimed: dict[str, list[Claimed]] = {}
        self._asked: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._stop_asked: dict[str, float] = {}
        self._written: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, stored: Stored) -> None:
        super().add(stored)
        where = subjects.parse_run(stored.subject)
        frame = read_frame(stored) if where.kind == "tok" else None
        for entry in frame.entries if frame is not None else ():
            self._written[entry.rid].append(stored.at)
        if where.kind != "evt" or where.reply in subjects.NO_REQUESTS:
            return
        event = read_event(stored)
        if isinstance(event, Claim) and where.writer.user == WRITER:
            pass  # a gateway takes the pen to end what nobody has ended
        elif isinstance(event, Claim):
            claims = self._claimed.setdefault(where.rid, [])
            if event.n > len(claims):
                run = self.runs.get(where.rid)
                place = 0 if run is None else run.count
                claims.append(Claimed(stored.at, where.writer, event.lost, place))
        elif isinstance(event, Queued):
            self._asked.setdefault(where.rid, stored.at)
        elif where.rid in self.runs:
            if self.runs[where.rid].end is not None:
                self._ended.setdefault(where.rid, stored.at)
            elif isinstance(event, Cancel):
                self._stop_asked.setdefault(where.rid, stored.at)

    def stories(self) -> list[Story]:
        return [
            Story(
                rid=rid,
                run=run,
                claims=self._claimed.get(rid, []),
                ends=self.ends[rid],
                ended=self._ended.get(rid, 0.0),
                written=self._written[rid],
                asked=self._asked.get(rid, 0.0),
                stop_asked=self._stop_asked.get(rid, 0.0),
            )
            for rid, run in self.runs.items()
            if run.queued is not None
        ]


async def read_stories(broker: Reachable) -> list[Story]:
    """Read the whole log as the gateway may, to the end that its leader names.

    Raises BusError, also where its end could not be read.
    """
    bus = await Bus.connect([broker.url], *broker.credentials("gateway"))
    try:
        js, truth = JetStream(bus, timeout=10.0), TimedTruth()
        await _read_all(js, truth)
        return truth.stories()
    finally:
        await bus.close()


async def _read_all(js: JetStream, truth: Truth) -> None:
    at, last = 0, await js.end(subjects.RUN_STREAM)
    for _ in range(ATTEMPTS):  # a replica that lags behind may answer
        async for batch in js.read(subjects.RUN_STREAM, subjects.RUN_ALL, at + 1, last):
            for stored in batch:
                truth.add(stored)
            at = batch[-1].seq
        if at == last or await _nothing_between(js, at, last):
            return
        await asyncio.sleep(RETRY)
    raise Silence(f"the log was read to {at}, and its last message is {last}; read it again")


async def _nothing_between(js: JetStream, at: int, last: int) -> bool:
    """Whether by the leader's word no message is left behind one: the last may be gone."""
    more = await js.next(subjects.RUN_STREAM, subjects.RUN_ALL, at + 1)
    return more is None or more.seq > last


async def queue_length(broker: Reachable) -> int:
    """Items that lie in the queue."""
    bus = await Bus.connect([broker.url], *broker.credentials("gateway"))
    try:
        return (await JetStream(bus).stream_info(subjects.REQ_STREAM)).state.messages
    finally:
        await bus.close()


async def settle(broker: Reachable, seconds: float) -> list[Story]:
    """The stories, once all have an end and the queue is empty, or after `seconds`.

    A cluster that has lost its leader answers late, or not at all. Raises BusError if it does not
    by then either.
    """
    until = time.monotonic() + seconds
    async with asyncio.timeout(10 * seconds):  # a broker that does not answer
        while True:
            late = time.monotonic() > until
            try:
                stories = await read_stories(broker)
                if late or not (_unfinished(stories) or await queue_length(broker)):
                    return stories
            except BusError:
                if late:
                    raise
            await asyncio.sleep(1.0)


def _unfinished(stories: list[Story]) -> bool:
    return any(story.run.end is None for story in stories)
