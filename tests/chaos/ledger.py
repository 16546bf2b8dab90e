"""Holds a store's database against the log: each event applied once, rows that say the same."""

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.tail import Tail
from mesh.protocol import subjects
from mesh.protocol.run import Run
from tests.chaos.by_log import row_of
from tests.chaos.kept import Row, read
from tests.chaos.story import TimedTruth
from tests.conftest import Broker


@dataclass
class Ledger:
    """events: how many; last: sequence of the last one; runs: by request id."""

    events: int = 0
    last: int = 0
    runs: dict[str, Row] = field(default_factory=dict)


async def in_log(broker: Broker) -> Ledger:
    """What the log says, read from its beginning, of requests by their events alone."""
    bus = await Bus.connect([broker.url], *broker.credentials("store"))
    found, truth = Ledger(), TimedTruth()
    try:
        tail = Tail(bus, JetStream(bus, 10.0))
        while batch := await tail.read(found.last, 1024):
            found.events, found.last = found.events + len(batch), batch[-1].seq
            for stored in batch:
                where = subjects.parse_run(stored.subject)
                if where.reply not in subjects.NO_REQUESTS:
                    truth.runs.setdefault(where.rid, Run(bare=True))
                    truth.add(stored)
    finally:
        await bus.close()
    found.runs = {story.rid: row_of(story) for story in truth.stories()}
    return found


def in_database(path: Path) -> Ledger:
    """What the database says. Raises AssertionError if an event was skipped."""
    database = sqlite3.connect(path)
    try:
        ((last, events),) = database.execute("select seq, events from position").fetchall()
        assert not database.execute("select * from skipped_events").fetchall()
    finally:
        database.close()
    return Ledger(events, last, read(path).rows)


def position(path: Path) -> int:
    """How far a database has come; 0 where that cannot be read now."""
    database = sqlite3.connect(path)
    try:
        ((last,),) = database.execute("select seq from position").fetchall()
        return int(last)
    except (sqlite3.DatabaseError, ValueError):
        return 0
    finally:
        database.close()
