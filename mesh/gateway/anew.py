"""Which requests count as never begun, so that their idempotency key begins anew. Pure.

What the queue refuses stands in the log by then, with that refusal as its end, and its id cannot be
used again: the same key then leads to the next id, which every gateway derives alike.
"""

from hashlib import sha256

from mesh.protocol.errors import REFUSALS, MeshError
from mesh.protocol.events import End, Failed
from mesh.protocol.run import Run

RETRY_AFTER = 10.0
"""Seconds to wait, for whoever did not hear from the queue itself how long."""


def void(run: Run) -> bool:
    """Whether a request was refused before anybody took it, or withdrawn with others that were."""
    return run.withdrawn or (run.n == 0 and refused(run.end))


def refused(end: End | None) -> bool:
    """Whether a request ended with a refusal."""
    return isinstance(end, Failed) and not end.n and end.code in REFUSALS


def refusal(end: Failed) -> MeshError:
    """A failure as an error; one that was a refusal, or that no worker took in time, says when it
    is worth asking again."""
    later = RETRY_AFTER if refused(end) else end.retry_after
    return MeshError(end.code, end.detail, param=end.param, retry_after=later)


def next_id(rid: str) -> str:
    """The id under which a request is asked again whose own is used up."""
    return sha256(f"{rid}\nanew".encode()).hexdigest()[:32]
