"""Tells several of one thing, none of whom can keep the others from hearing of it."""

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)


def tell_all(*tells: Callable[[], None]) -> None:
    """Call all, in order. What one raises is its own fault and is logged: an event of the log may
    say anything, and it is passed on from where the requests of everybody are followed."""
    for tell in tells:
        try:
            tell()
        except Exception:
            log.exception("One who was told of an event failed at it; the others are told")
