"""Goes through what was read of the log so that an entry which nobody can handle costs nothing
but itself: whoever stopped at it would be started again, and stop at it again."""

import logging
from collections.abc import Callable, Iterable

from mesh.bus.jetstream import Stored

log = logging.getLogger(__name__)


def one_by_one(batch: Iterable[Stored], handle: Callable[[Stored], None]) -> None:
    """Handle each message, in order. One at which that fails is passed over, and told in the log of
    this process, with its sequence."""
    for stored in batch:
        try:
            handle(stored)
        except Exception:
            passed_over(stored)


def passed_over(stored: Stored) -> None:
    """Tell of a message at which something has just failed; only while that is being handled."""
    log.exception(
        "The log's message %d on %s cannot be handled and is passed over",
        stored.seq,
        stored.subject,
    )
