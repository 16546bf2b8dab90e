"""Logs that a worker was lost. Who is lost is noticed elsewhere."""

import asyncio
import logging

from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import BusError
from mesh.bus.entries import read_event
from mesh.bus.history import last_event
from mesh.bus.jetstream import JetStream
from mesh.protocol import subjects
from mesh.protocol.events import WorkerLost, WorkerStopped
from mesh.protocol.subjects import Writer
from mesh.protocol.worker_info import WorkerInfo

log = logging.getLogger(__name__)

RETRY = 0.5
"""Seconds between two tries."""


async def report_lost(js: JetStream, writer: Writer, worker: WorkerInfo) -> None:
    """Log that a worker fell silent, unless it said goodbye or another gateway was quicker.

    Tries until one of the three is in the log: nobody else would notice the loss later.
    """
    while True:
        try:
            await _settle(js, writer, worker)
            return
        except BusError as error:  # also Fenced: the next try reads what was logged instead
            log.debug("Logging the loss of %s: %s", worker.name, error)
            await asyncio.sleep(RETRY)


async def _settle(js: JetStream, writer: Writer, worker: WorkerInfo) -> None:
    story = subjects.process(Writer(worker.name, worker.inc))
    last = await last_event(js, story, subjects.FLEET)
    if last is not None and isinstance(read_event(last), WorkerStopped | WorkerLost):
        return
    log.warning("The worker %s was lost", worker.name)
    event = WorkerLost(uid=new_uid(), name=worker.name, inc=worker.inc)
    expected = 0 if last is None else last.seq  # 0: the log keeps its start no longer
    await append_event(js, subjects.FLEET, story, writer, event, expected)
