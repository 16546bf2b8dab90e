"""Holds a store's database against the log: each event applied once, rows that say the same."""

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.replay import apply
from mesh.bus.tail import Tail
from mesh.protocol import subjects
from mesh.protocol.messages import Done, Failed
from mesh.protocol.run import Run
from tests.conftest import Broker

Row = tuple[str, str, int, str | None, str | None, int]
"""Of a run: state, text, attempts, worker, error code, completion tokens."""


@dataclass
class Ledger:
    """events: how many; last: sequence of the last one; runs: by request id."""

    events: int = 0
    last: int = 0
    runs: dict[str, Row] = field(default_factory=dict)


async def in_log(broker: Broker) -> Ledger:
    """What the log says, read from its beginning."""
    bus = await Bus.connect([broker.url], *broker.credentials("store"))
    found, runs = Ledger(), dict[str, Run]()
    try:
        tail = Tail(bus, JetStream(bus, 10.0))
        while batch := await tail.read(found.last, 1024):
            found.events, found.last = found.events + len(batch), batch[-1].seq
            for stored in batch:
                where = subjects.parse_run(stored.subject)
                if where.reply not in subjects.NO_REQUESTS:
                    apply({where.rid: runs.setdefault(where.rid, Run(bare=True))}, stored)
    finally:
        await bus.close()
    found.runs = {rid: _row(run) for rid, run in runs.items()}
    return found


def _row(run: Run) -> Row:
    worker = run.pen[1].user if run.pen else None
    end = run.end
    if end is None:
        return ("running" if run.pen else "queued", "", run.n, worker, None, 0)
    state = "done" if isinstance(end, Done) else type(end).__name__.lower()
    code = end.code.value if isinstance(end, Failed) else None
    return (state, end.text, run.n, worker, code, end.usage.completion_tokens)


def in_database(path: Path) -> Ledger:
    """What the database says. Raises AssertionError if an event was skipped."""
    database = sqlite3.connect(path)
    try:
        ((last, events),) = database.execute("select seq, events from position").fetchall()
        assert not database.execute("select * from skipped_events").fetchall()
        columns = "state, text, attempts, worker, error_code, completion_tokens"
        rows = database.execute(f"select rid, {columns} from runs").fetchall()
    finally:
        database.close()
    return Ledger(events, last, {row[0]: row[1:] for row in rows})


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
