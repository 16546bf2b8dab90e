"""Takes out of the queue what nobody has to work on any more, and nobody else takes out.

What has ended unclaimed is taken out by whoever ended it; what a worker is handed, by the worker.
But whoever ended it may not know where it lies, or die in between; where no worker comes for its
model none is handed to anybody; and a broker that was killed may know that an item was
acknowledged, and not that it took it out: it hands that to nobody, and keeps its room in the queue
for ever.
"""

import logging

import msgspec

from mesh.bus.entries import read_event
from mesh.bus.history import last_event
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import Stored
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.events import Deleted, End
from mesh.protocol.request import Prompt, Request

log = logging.getLogger(__name__)

LINGER = 15.0
"""Seconds that an item lies in the queue, and its request is over, before it is a leftover."""

MOST = 50
"""Items that are looked at in one go."""


class Leftovers:
    """Goes through the queue over and over, so many items at a time, from the oldest on."""

    def __init__(self, js: JetStream) -> None:
        self._js = js
        self._at = 1

    async def clear(self, now: float) -> None:
        """Take the leftovers among the next items out of the queue. Raises BusError."""
        for _ in range(MOST):
            item = await self._js.next(subjects.REQ_STREAM, subjects.REQ_ALL, self._at)
            if item is None or now < item.at + LINGER:
                self._at = 1  # what comes behind is younger still
                return
            if await _is_over(self._js, item, now):
                log.info("The queue's item %d is of what is over: taking it out", item.seq)
                await self._js.delete(subjects.REQ_STREAM, item.seq)
            self._at = item.seq + 1


async def take_out(js: JetStream, rid: str, seq: int) -> None:
    """Take an item out of the queue if it is still this request's. Raises BusError.

    Of a queue that was replaced or restored meanwhile it may be another's. A worker that has it in
    hand just now loses nothing: its claim is refused, and its acknowledgement does no harm.
    """
    item = await js.next(subjects.REQ_STREAM, subjects.REQ_ALL, seq)
    found = None if item is None else _request(item)
    if item is not None and item.seq == seq and found is not None and found.rid == rid:
        await js.delete(subjects.REQ_STREAM, seq)


async def _is_over(js: JetStream, item: Stored, now: float) -> bool:
    """Whether the request has had its end for a while, or the log knows of it no more."""
    request = _request(item)
    if request is None:
        return False  # a neighbour's: whoever is handed it puts it aside
    last = await last_event(js, request.rid, request.reply)
    if last is None:
        return True
    return isinstance(read_event(last), End | Deleted) and last.at + LINGER < now


def _request(item: Stored) -> Request | None:
    """What an item asks for; None where it cannot be read."""
    try:
        return decode(item.data, Prompt).request
    except msgspec.DecodeError:
        return None
