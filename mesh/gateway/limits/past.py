"""Tells a gateway that starts what was asked and used of late, from the log."""

from mesh.bus.entries import request_event
from mesh.bus.jetstream import JetStream
from mesh.bus.one_by_one import one_by_one
from mesh.bus.stored import Stored
from mesh.gateway.limits.counts import Counts
from mesh.protocol import subjects


async def tell(js: JetStream, counts: Counts, since: float) -> None:
    """Tell of what came since a Unix time; what was heard already does no harm. Raises BusError."""
    upto = await js.end(subjects.RUN_STREAM)
    start = await _since(js, since, upto)

    def hear(stored: Stored) -> None:
        where = subjects.parse_run(stored.subject)
        event = request_event(stored, where)
        if event is not None:
            counts.hear(where.rid, event, stored.seq, stored.at)

    async for batch in js.read(subjects.RUN_STREAM, subjects.RUN_EVENTS, start, upto):
        one_by_one(batch, hear)


async def _since(js: JetStream, at: float, upto: int) -> int:
    """The first sequence that was stored at a time or later, found by halving."""
    low, high = 1, upto + 1
    while low < high:
        middle = (low + high) // 2
        found = await js.next(subjects.RUN_STREAM, subjects.RUN_ALL, middle)
        if found is None or found.at >= at:
            high = middle
        else:
            low = found.seq + 1
    return low
