"""When to try again: a pure policy that is told the time and never sleeps.

Delays grow exponentially with jitter, so that a gateway that comes back is not met by all of its
readers at once.
"""

import random
from collections.abc import Callable

from msgspec import Struct


class Retry(Struct, frozen=True, kw_only=True):
    """How patient a client is. All values are seconds, `factor` aside.

    stream_patience: how long an answer's stream may stay away before the client gives up; the
    answer itself goes on meanwhile. call_patience: the same for every other call, once the
    gateway has answered at all; a gateway that was never there is reported at once. Delays go
    from `first` by `factor` up to `longest`.
    """

    stream_patience: float = 120.0
    call_patience: float = 10.0
    first: float = 0.1
    factor: float = 2.0
    longest: float = 3.0


class Backoff:
    """One series of attempts under a policy.

    `loss(now)` says how long to wait before the next attempt, or None: give up. `heard(now)`
    marks a sign of life, from which patience is counted anew; `progress()` starts the delays
    anew too.
    """

    def __init__(
        self,
        retry: Retry,
        patience: float,
        now: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._retry = retry
        self._patience = patience
        self._last_heard = now
        self._chance = chance
        self.attempt = 0

    def heard(self, now: float) -> None:
        """The other side is alive, though it may have brought nothing new."""
        self._last_heard = now

    def progress(self) -> None:
        """Something new arrived: the next loss is a first one."""
        self.attempt = 0

    def loss(self, now: float, retry_after: float | None = None) -> float | None:
        """Seconds to wait before the next attempt, at least `retry_after`; None: give up."""
        left = self._last_heard + self._patience - now
        if left <= 0:
            return None
        self.attempt += 1
        return max(min(self._delay(), left), retry_after or 0.0)

    def _delay(self) -> float:
        """Between half of the step and the whole of it."""
        steps = min(self.attempt - 1, 32)
        step = min(self._retry.first * self._retry.factor**steps, self._retry.longest)
        return step * (0.5 + self._chance() / 2)
