"""What a worker does when its engine has failed: leaves the request to others, spares the engine.

Pure. That a request fails with every engine, and not one engine with every request, is to be seen
by who has tried it: so whoever has failed on one lets others have it, and who is alone waits.
"""

import time
from collections.abc import Callable

MAX_FAILURES = 3
"""Engines that fail on a request until it is the request that they fail of."""

AGAIN = (1.0, 4.0)
"""Seconds until a worker whose engine has failed on a request tries it again, if nobody else can:
after its first failure, and after its second. An upstream that starts anew is back by then."""

OTHERS = 10.0
"""Seconds for which it is left to others who can: they may be busy, and our engine well again."""

LOOK = 1.0
"""Seconds at most until one that is left to others is looked at again: meanwhile nobody has it."""

FIRST, MOST = 0.5, 2.0
"""Seconds for which an engine is spared after its first failure, twice as long after each more, and
at most. No longer: whoever asks a worker that is alone waits for so long."""


def left_for(failures: int, since: float | None, aside: bool) -> float:
    """Seconds for which a request is given back to the queue; 0.0: it may be claimed.

    failures: claims on it that ended by their engine's failure; since: seconds since our engine
    failed on it, None if it did not, as far as we know; aside: there is a worker that has not had
    it, while we have. The last try that a request has is never ours then.
    """
    if aside and failures + 1 >= MAX_FAILURES:
        return LOOK
    if not failures or since is None:
        return 0.0
    patience = OTHERS if aside else AGAIN[min(failures, len(AGAIN)) - 1]
    return min(LOOK, max(0.0, patience - since))


class Outage:
    """How an engine is spared that fails: a pause, then one request at a time until one shows that
    it is well. `clock`: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._row = 0
        self._until = 0.0
        self._probe = ""
        self.failed_at = 0.0

    def allowed(self, free: int) -> int:
        """How many of the free slots may be filled now."""
        if not self._row:
            return free
        return 0 if self._probe or self._clock() < self._until else min(free, 1)

    def begun(self, rid: str) -> None:
        """A request was taken."""
        if self._row:
            self._probe = rid

    def over(self, rid: str) -> None:
        """A request is not worked on any more."""
        if self._probe == rid:
            self._probe = ""

    def deferred(self) -> None:
        """What was taken is for others: they should find it before it is looked at here again."""
        if self._row:
            self._until = self._clock() + FIRST

    def failed(self, rid: str) -> float:
        """The engine has failed on a request: for how many seconds it is spared, 0.0 if that is
        known already, from what was under way together with it."""
        if self._row and rid != self._probe:
            return 0.0
        pause = min(MOST, FIRST * 2.0**self._row)
        self._row = min(self._row + 1, 10)
        self.failed_at = self._clock()
        self._until = self.failed_at + pause
        return pause

    def well(self) -> None:
        """The engine has answered, or is another."""
        self._row, self._probe = 0, ""
