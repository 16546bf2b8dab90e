"""Takes out of the queue what nobody has to work on any more, and nobody takes out.

A worker that is handed such an item acknowledges it. But where no worker comes for its model none
is handed to anybody; and a broker that was killed may know that an item was acknowledged, and not
that it took it out: it hands that to nobody, and keeps its room in the queue for ever.
"""

import logging

import msgspec

from mesh.bus.jetstream import JetStream, Stored
from mesh.bus.replay import last_event, read_event
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.messages import Deleted, End, Prompt

log = logging.getLogger(__name__)

LINGER = 15.0
"""Seconds that an item lies in the queue, and its request is over, before it is a leftover."""

MOST = 50
"""Items that are looked at in one go, the oldest first."""


async def clear(js: JetStream, now: float) -> None:
    """Take the leftovers among the oldest items out of the queue. Raises BusError."""
    at = 1
    for _ in range(MOST):
        item = await js.next(subjects.REQ_STREAM, subjects.REQ_ALL, at)
        if item is None or now < item.at + LINGER:
            return
        at = item.seq + 1
        if await _is_over(js, item, now):
            log.info("The queue's item %d is of a request that is over: taking it out", item.seq)
            await js.delete(subjects.REQ_STREAM, item.seq)


async def _is_over(js: JetStream, item: Stored, now: float) -> bool:
    """Whether the request has had its end for a while, or the log knows of it no more."""
    try:
        prompt = decode(item.data, Prompt)
    except msgspec.DecodeError:
        return False  # a neighbour's: whoever is handed it puts it aside
    last = await last_event(js, prompt.request.rid)
    if last is None:
        return True
    return isinstance(read_event(last), End | Deleted) and last.at + LINGER < now
