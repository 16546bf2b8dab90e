"""Goes through what was read of the log so that an entry which nobody can handle costs nothing
but itself: whoever stopped at it would be started again, and stop at it again."""

import logging
from collections.abc import Callable, Iterable
from types import TracebackType

from mesh.bus.stored import Stored

log = logging.getLogger(__name__)


def one_by_one(batch: Iterable[Stored], handle: Callable[[Stored], None]) -> None:
    """Handle each message, in order. One at which that fails is passed over, and told in the log of
    this process, with its sequence."""
    for stored in batch:
        with passing_over(stored):
            handle(stored)


class passing_over:
    """While a message is handled: should that fail, it is told in the log of this process, and what
    follows the `with` goes on without it."""

    __slots__ = ("_stored",)

    def __init__(self, stored: Stored) -> None:
        self._stored = stored

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        log.error(
            "The log's message %d on %s cannot be handled and is passed over",
            self._stored.seq,
            self._stored.subject,
            exc_info=error,
        )
        return True
