"""Forgets what is old, a little at a time: runs outside chats, worker events, spent tokens.

Chats are never forgotten here; people delete them.
"""

import asyncio
import logging
import time

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstrumentedAttribute

from mesh.settings import YEAR, StoreSettings
from mesh.store.database import Database, sentence
from mesh.store.models import (
    DeletedChat,
    DeletedUser,
    RefreshToken,
    Run,
    SkippedEvent,
    ToolRun,
    WorkerEvent,
)

log = logging.getLogger(__name__)

DAY = 86_400.0
EVERY = 3_600.0
"""Seconds between two rounds."""
BATCH = 500
"""Rows deleted in one transaction, so that the log and the queries need not wait."""
LONGEST_TOKEN = YEAR
"""Seconds that a deleted user is remembered: as long as an access token may last."""
MARKS_DAYS = 30.0
"""Days that a deleted chat is remembered and a skipped message noted; the log forgets sooner."""

Rule = tuple[InstrumentedAttribute[str] | InstrumentedAttribute[int], ColumnElement[bool]]


async def run(database: Database, settings: StoreSettings) -> None:
    """Prune now and every hour, until cancelled."""
    while True:
        try:
            await prune(database, settings.retention_days, time.time())
            await shrink(database, settings, time.time())
        except SQLAlchemyError as error:
            log.warning("Old rows could not be forgotten now: %s", sentence(error))
        await asyncio.sleep(EVERY)


async def shrink(database: Database, settings: StoreSettings, now: float) -> None:
    """Forget earlier than was asked for, down to the last day, while the database is too large.

    Chats stay; where they alone are too large, a person has to decide.
    """
    days = settings.retention_days
    while days > 1 and await database.used() > settings.database_max_bytes:
        days = max(1.0, days / 2)
        log.warning("The database is beyond its limit; keeping runs for %g days only", days)
        await prune(database, days, now)


async def prune(database: Database, retention_days: float, now: float) -> int:
    """Forget all that is too old at `now` (Unix time); 0 days keep runs and worker events.

    Returns the number of rows.
    """
    return sum([await _prune(database, rule) for rule in _rules(retention_days, now)])


def _rules(retention_days: float, now: float) -> list[Rule]:
    """Of each table a column to delete by, and which rows."""
    marks = now - MARKS_DAYS * DAY
    rules: list[Rule] = [
        (RefreshToken.token_hash, RefreshToken.expires_at < now),
        (DeletedChat.id, DeletedChat.deleted_at < marks),
        (DeletedUser.id, DeletedUser.deleted_at < now - LONGEST_TOKEN),
        (SkippedEvent.seq, SkippedEvent.at < marks),
    ]
    if retention_days:
        old = now - retention_days * DAY
        ended = or_(Run.ended_at < old, Run.ended_at.is_(None) & (Run.deadline < old))
        rules.append((WorkerEvent.key, WorkerEvent.at < old))
        rules.append((Run.rid, Run.chat_id.is_(None) & ended))
        rules.append((ToolRun.id, ToolRun.deadline < old))
    return rules


async def _prune(database: Database, rule: Rule) -> int:
    column, old = rule
    total = 0
    while True:
        async with database.write() as session:
            found = list(await session.scalars(select(column).where(old).limit(BATCH)))
            await session.execute(delete(column.class_).where(column.in_(found), old))
        total += len(found)
        if len(found) < BATCH:
            return total
        await asyncio.sleep(0)
