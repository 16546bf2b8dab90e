"""Sums over the last seconds, exact to the moment: what was used, and when there is room again.

Pure.
"""

from collections import deque
from typing import NamedTuple


class Room(NamedTuple):
    """What is left of a limit. reset: seconds until all of it is there again."""

    limit: int
    left: int
    reset: float


class Window:
    """Amounts of the last `span` seconds."""

    def __init__(self, span: float) -> None:
        self.span = span
        self._amounts: deque[tuple[float, int]] = deque()
        self._sum = 0

    def add(self, at: float, amount: int) -> float:
        """Count an amount; times that go back a little count as the latest one.

        Returns the time at which it counts.
        """
        if amount:
            at = max(at, self._amounts[-1][0]) if self._amounts else at
            self.sum(at)  # what is over is forgotten also where nobody asks
            self._amounts.append((at, amount))
            self._sum += amount
        return at

    def give_back(self, at: float, amount: int) -> None:
        """Count an amount no longer that counts at a time, as `add` said, unless it is over."""
        for index in reversed(range(len(self._amounts))):  # it is seldom an old one
            if self._amounts[index][0] < at:
                return
            if self._amounts[index] == (at, amount):
                del self._amounts[index]
                self._sum -= amount
                return

    def sum(self, now: float) -> int:
        while self._amounts and self._amounts[0][0] <= now - self.span:
            self._sum -= self._amounts.popleft()[1]
        return self._sum

    def room(self, limit: int, now: float) -> Room:
        """What is left of a limit."""
        left = max(0, limit - self.sum(now))
        latest = self._amounts[-1][0] if self._amounts else now - self.span
        return Room(limit, left, max(0.0, latest + self.span - now))

    def free_at(self, limit: int, now: float) -> float:
        """When the sum will be below a limit, if nothing is added; `now` if it is."""
        total = self.sum(now)
        for at, amount in self._amounts:
            if total < limit:
                break
            total -= amount
            now = at + self.span
        return now
