"""How fast this worker is, in tokens per second over the last seconds. Counting costs nothing."""

import time
from collections import defaultdict, deque
from collections.abc import Callable

from mesh.worker.gaps import Gaps

WINDOW = 5.0
"""Seconds over which the speed is measured."""


class Meter:
    """`tokens` is counted up by whoever writes them; time is looked at only when somebody asks.

    gaps: by model, between the tokens of its answers.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.tokens = 0
        self.gaps: defaultdict[str, Gaps] = defaultdict(Gaps)
        self._clock = clock
        self._seen = deque([(clock(), 0)])

    def speed(self) -> float:
        """Tokens per second since the look that was WINDOW seconds ago, or the first one."""
        now = self._clock()
        while len(self._seen) > 1 and self._seen[1][0] <= now - WINDOW:
            self._seen.popleft()
        since, before = self._seen[0]
        self._seen.append((now, self.tokens))
        return (self.tokens - before) / (now - since) if now > since else 0.0
