"""When a gateway ends a request itself. Pure; `endings.py` does it."""

from math import inf

from mesh.protocol.run import Run

OVERTIME = 5.0
"""Seconds past its deadline that the holder of a request is given to end it itself."""

OBEYING = 10.0
"""Seconds that the holder of a request, or whoever takes it over, has to obey when it is asked to
stop; and a gateway that has taken its pen, to end it."""


def due(run: Run) -> float:
    """Unix time from which a gateway ends the request itself; inf: not known yet."""
    if run.queued is None:
        return inf
    request = run.queued.request
    return request.deadline + OVERTIME if run.n else request.waits_until


def must_end(run: Run) -> bool:
    """Whether a request is to end before its time: it was asked to, or a gateway has taken its pen,
    after which nobody else ends it."""
    return run.cancel or run.pen != run.worker
