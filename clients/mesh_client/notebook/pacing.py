"""How often a notebook is redrawn: all views of a kernel share one budget of turns per second."""

import asyncio
import threading
import time

LIMIT = 20.0
"""Redraws per second of a notebook, at most: above, a page stops answering who sits before it."""

PER_SECOND = 18.0
"""What is aimed at, so that no second has more than `LIMIT` though clocks and sleeps are uneven."""


class Pacer:
    """Hands out turns, first come, first served, never more than `per_second`."""

    def __init__(self, per_second: float = PER_SECOND) -> None:
        self._gap = 1 / per_second
        self._next = 0.0
        self._lock = threading.Lock()

    async def turn(self) -> None:
        """Wait for a turn. Whoever waits has to keep what there is to draw until then."""
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + self._gap
        await asyncio.sleep(at - now)


NOTEBOOK = Pacer()
"""The budget of this kernel's one page."""
