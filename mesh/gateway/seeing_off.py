"""Sees people off who were deleted, whoever told the store to: what is still generated or goes on
for them is stopped, and their dead letters are dropped.

By what the accounts say and by the log, not by what some route was answered: `mesh user remove`
asks the store alone, and a gateway may die between its question and its part. Every gateway does
it, and again when it starts; once is enough, and more does no harm.
"""

import asyncio
import logging
from collections.abc import Collection

from mesh.bus.connection import BusError
from mesh.bus.dlq import forget
from mesh.gateway.answering import cancel_all
from mesh.gateway.runs.stopping import stop_all
from mesh.gateway.services import Services
from mesh.gateway.unfinished import Unfinished
from mesh.protocol.errors import MeshError

log = logging.getLogger(__name__)

DELETED = "account deleted"
"""Who stopped it, as `Cancel` says."""

AGAIN = 2.0
"""Seconds until a second look: another gateway may have let something in before it heard; and
until the next try where the broker did not answer."""


async def see_off(services: Services, unfinished: Unfinished) -> None:
    """See to whoever is deleted from now on, or was before, until cancelled."""
    while True:
        gone = await services.accounts.departed()
        looks = 2
        while looks:
            try:
                await _look(services, unfinished, gone)
                looks -= 1
            except (BusError, MeshError) as error:
                log.debug("Seeing people off: %s", error)
            await asyncio.sleep(AGAIN)


async def _look(services: Services, unfinished: Unfinished, gone: Collection[str]) -> None:
    """Raises BusError, MeshError (broker_unavailable)."""
    runs = await unfinished.read()
    asked = [rid for rid, run in runs.items() if run.queued and run.queued.request.tenant in gone]
    stories = await services.telling.open()
    going_on = [story.run.id for story in stories if story.run.tenant in gone]
    if asked or going_on:
        log.info("Stopping %d answers and %d runs of deleted people", len(asked), len(going_on))
    cancel_all(services, asked, by=DELETED)
    stop_all(services, going_on, by=DELETED)
    await forget(services.js, gone)
