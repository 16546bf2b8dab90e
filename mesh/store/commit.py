"""One transaction per batch: the rows of its events, and how far the log is applied.

The position is moved only from where it was believed to be, so that a batch which comes twice,
or a second store on the same database, doubles nothing.
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import CursorResult, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.bus.stored import Stored
from mesh.bus.trace import working_for
from mesh.protocol.events import End, Failed
from mesh.store.apply import apply
from mesh.store.database import Database, is_trouble, sentence
from mesh.store.models import Position, SkippedEvent
from mesh.store.records import Record, Unreadable, read
from mesh.store.rows import Rows, load

log = logging.getLogger(__name__)


class At(NamedTuple):
    """A place in a log: when its stream was created, which identifies it, and a sequence."""

    log: str
    seq: int


class Moved(Exception):
    """The position in the database is not the expected one: another store applied the log."""


async def position(database: Database) -> At:
    """How far the log is applied, as the database has it; a new database: nowhere yet."""
    async with database.write() as session:
        row = await session.scalar(select(Position))
        if row is None:
            row = Position(id=1, log="", seq=0, events=0)
            session.add(row)
        return At(row.log, row.seq)


async def start_over(database: Database, at: At, log_id: str) -> At:
    """Go back to the beginning of a log that is another, or another again, than was followed."""
    async with database.write() as session:
        return await _move(session, at, At(log_id, 0), 0)


async def commit(database: Database, at: At, batch: Sequence[Stored]) -> At:
    """Apply a batch that follows on `at`, wholly. Returns the new position.

    A message that cannot be read or kept is recorded as skipped. Raises Moved, and whatever
    `is_trouble` says of the database.
    """
    try:
        return await _commit(database, at, batch)
    except Exception as error:
        if isinstance(error, Moved) or is_trouble(error):
            raise
    for stored in batch:
        at = await _commit_alone(database, at, stored)
    return at


async def _commit_alone(database: Database, at: At, stored: Stored) -> At:
    """One of a batch that failed as a whole: find out whether it is to blame."""
    try:
        return await _commit(database, at, [stored])
    except Exception as error:
        if isinstance(error, Moved) or is_trouble(error):
            raise
        async with database.write() as session:
            _skip(session, at, stored, sentence(error))
            return await _move(session, at, At(at.log, stored.seq), 1)


async def _commit(database: Database, at: At, batch: Sequence[Stored]) -> At:
    async with database.write() as session:
        moved = await _move(session, at, At(at.log, batch[-1].seq), len(batch))
        records = _read_all(session, at, batch)
        rows = await load(session, records)
        for record in records:
            apply(rows, record)
        await rows.save(session)
    for record in records:
        _tell(rows, record)
    return moved


def _tell(rows: Rows, record: Record) -> None:
    """Log what has become of a run, under the id of the HTTP request that it is for."""
    run = rows.runs.get(record.rid)
    if run is not None and isinstance(record.event, End):
        failed = isinstance(record.event, Failed)
        with working_for(run.trace):
            log.log(logging.INFO if failed else logging.DEBUG, "%s is %s", run.rid, run.state)


async def _move(session: AsyncSession, at: At, to: At, events: int) -> At:
    moved = await session.execute(
        update(Position)
        .where(Position.log == at.log, Position.seq == at.seq)
        .values(log=to.log, seq=to.seq, events=Position.events + events)
    )
    assert isinstance(moved, CursorResult)
    if moved.rowcount != 1:
        raise Moved(f"the log is no longer applied up to {at.seq}")
    return to


def _read_all(session: AsyncSession, at: At, batch: Sequence[Stored]) -> list[Record]:
    records = []
    for stored in batch:
        try:
            records.append(read(stored))
        except Unreadable as error:
            _skip(session, at, stored, str(error))
    return records


def _skip(session: AsyncSession, at: At, stored: Stored, reason: str) -> None:
    log.warning("The log's message %d on %s is skipped: %s", stored.seq, stored.subject, reason)
    session.add(
        SkippedEvent(
            log=at.log, seq=stored.seq, subject=stored.subject, at=stored.at, reason=reason[:500]
        )
    )
