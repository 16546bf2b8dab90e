"""Ends what nobody ends, queues again what the queue has lost, takes out what is left there, keeps
dead letters: for everybody.

One gateway does it at a time, by a lease. Each request's own gateway comes first: the sweeper
sees to what is left because that gateway is gone, or because an item was acknowledged by mistake.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from mesh.bus.api import StreamInfo
from mesh.bus.connection import BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.lease import Lease
from mesh.gateway.dead_letters import DeadLetters
from mesh.gateway.deadlines import due, must_end
from mesh.gateway.leftovers import Leftovers
from mesh.gateway.living import Living
from mesh.gateway.missing import Missing
from mesh.gateway.recovery import take_back_all
from mesh.gateway.requests import Requests, is_orphan
from mesh.gateway.unfinished import Unfinished
from mesh.protocol import subjects
from mesh.protocol.errors import MeshError
from mesh.protocol.request import Request
from mesh.protocol.run import Run

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two sweeps, and two renewals of the lease."""

COURTESY = 3.0
"""Seconds that a request's own gateway has to end it, or to queue it, before the sweeper does."""

HANDED_ON = 600.0
"""Seconds after which the sweeper before us has kept a dead letter that we know of, too."""

QUEUEING = 3.0
"""Seconds of a sweep in which requests are queued again: the lease has to be renewed."""

SWEEPING = "sweeping"
"""The lease of the one who sweeps."""


class Sweeper:
    """Sweeps while it holds the lease. name: of its gateway; living: which others are gone.

    patience: seconds for which a gateway has to be gone until what only its own clients could read
    is cancelled. One that is frozen or cut off keeps their connections, and goes on when it can.
    """

    def __init__(
        self,
        js: JetStream,
        name: str,
        unfinished: Unfinished,
        living: Living,
        requests: Requests,
        letters: DeadLetters,
        patience: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._js = js
        self._lease = Lease(js, SWEEPING, name)
        self._missing = Missing(js, requests.queue.lanes)
        self._leftovers = Leftovers(js)
        self._living = living
        self._unfinished = unfinished
        self._requests = requests
        self._letters = letters
        self._patience = patience
        self._clock = clock
        self._stopping: set[str] = set()

    async def run(self) -> None:
        """Sweep now and then, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            if not await self._lease.hold():
                self._unfinished.forget(self._clock() - HANDED_ON)
                continue
            await self._try(self._sweep())

    async def _sweep(self) -> None:
        """See once to all that is unfinished, to each kind for itself. Raises BusError."""
        queue = await self._look_at_queue()  # before them: what is younger is not missing there
        runs = await self._unfinished.read()
        await self._try(self._end(runs))
        await self._try(self._keep_letters())
        if queue is not None:
            await self._try(self._queue_again(runs, queue))
            await self._try(self._leftovers.clear(self._clock()))

    async def _try(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what is tried again with the next sweep; that it fails now costs nothing else."""
        try:
            await work
        except (BusError, MeshError, TimeoutError) as error:
            log.debug("Sweeping: %s", error)
        except Exception:
            log.exception("A part of the sweep failed; trying again with the next one")

    async def _look_at_queue(self) -> StreamInfo | None:
        """The queue as it is; None while it has no leader, which the log does not wait for."""
        try:
            return await self._js.stream_info(subjects.REQ_STREAM, subjects.REQ_ALL)
        except BusError as error:
            log.debug("Looking at the queue: %s", error)
            return None

    async def _keep_letters(self) -> None:
        """Keep what ended as poison; one that cannot be kept now comes last the next time.

        Raises BusError.
        """
        for rid, at in list(self._unfinished.poisoned.items()):
            del self._unfinished.poisoned[rid]
            try:
                await self._letters.keep(rid)
            except BusError:
                self._unfinished.poisoned[rid] = at
                raise

    async def _end(self, runs: dict[str, Run]) -> None:
        """End what is overdue, what only a lost gateway's clients could read, and what was to stop
        at the last sweep already.

        Raises BusError, MeshError (broker_unavailable).
        """
        now = self._clock()
        open_ = {rid: run for rid, run in runs.items() if run.queued is not None}
        self._living.expect(run.queued.request.reply for run in open_.values() if run.queued)
        overdue = [rid for rid, run in open_.items() if run.queued and now > due(run) + COURTESY]
        if overdue:
            log.info("Ending %d requests that nobody has ended", len(overdue))
        orphans = [
            rid
            for rid, run in open_.items()
            if forsaken(run, self._living.gone_for, self._patience)
        ]
        before = self._stopping
        self._stopping = {rid for rid, run in open_.items() if must_end(run)}
        disobeyed = before & self._stopping
        await take_back_all(self._requests, list({*overdue, *orphans, *disobeyed}))

    async def _queue_again(self, runs: dict[str, Run], queue: StreamInfo) -> None:
        """Queue again what the queue has lost; it looked so just before the runs were read.

        Raises BusError, MeshError (broker_unavailable), TimeoutError.
        """
        now = self._clock()
        settled = [
            run for run in runs.values() if run.queued and _settled(run.queued.request, run, now)
        ]
        lost = await self._missing.find(settled, queue, runs)
        async with asyncio.timeout(QUEUEING):
            for request in lost:
                try:
                    await self._requests.queue_again(request.rid)
                except (BusError, MeshError, TimeoutError):
                    raise
                except Exception:
                    log.exception("%s could not be queued again", request.rid)


def forsaken(run: Run, gone_for: Callable[[str], float], patience: float) -> bool:
    """Whether nobody can come back for the answer and its gateway has been gone for `patience`
    seconds."""
    if run.queued is None or not is_orphan(run):
        return False
    gone = gone_for(run.queued.request.reply)
    return gone > 0 and gone >= patience


def _settled(request: Request, run: Run, now: float) -> bool:
    """Whether a request should be in the queue by now, and still has time."""
    return request.created + COURTESY < now <= due(run)
