"""Sees to it that deleted words do not linger in the database's write-ahead log either.

SQLite overwrites what is deleted in the database file alone; older pages stay in the log beside it
until they are written over, which may be never.
"""

import asyncio
import logging
import sqlite3

from sqlalchemy.exc import SQLAlchemyError

from mesh.store.database import Database, sentence

log = logging.getLogger(__name__)

PACE = 10.0
"""Seconds from a deletion to the emptying of the log, which others may be waiting for as well."""


async def run(database: Database) -> None:
    """Empty the log after deletions, until cancelled."""
    while True:
        await database.deleted.wait()
        await asyncio.sleep(PACE)
        database.deleted.clear()
        try:
            if await database.empty_log():
                continue
        except (SQLAlchemyError, sqlite3.Error) as error:  # as of a disk that is full
            log.warning("What was deleted is not overwritten yet: %s", sentence(error))
        database.deleted.set()
