"""Whose turn it is: which lane a worker takes its next prompt from. Pure; pulls nothing.

All workers that serve a model hear what the others take (`talk.py`), and so come to the same order.

Start-time fair queueing (Goyal, Vin and Cheng, 1996) over lanes: each prompt that is taken moves
its lane's clock on, by the less the more weight its tenant has, and the lane whose clock is
furthest behind comes next. So of lanes in which somebody waits none gets a second turn before each
got one, and one in which nobody had waited saves nothing up. Priorities come before all that.
"""

from collections.abc import Collection, Iterable, Mapping
from itertools import accumulate

from mesh.protocol import subjects

LEAST_WEIGHT, MOST_WEIGHT = 0.01, 100.0
"""Weights beyond are taken for these."""


LINE = ""
"""The line of prompts that are in no lane: those of neighbours who know of none."""

RANK: Mapping[str, int] = {LINE: 1} | {
    lane: next(rank for rank, name in enumerate(subjects.LANES) if lane[0] == name[0])
    for lane in subjects.ALL_LANES
}
"""The priority of each lane: the lower, the earlier."""


class Turns:
    """The clocks of all lanes of a model, as somebody knows them who hears what is taken.

    rank: the priority of each lane, 0 before 1.
    """

    def __init__(self, rank: Mapping[str, int] = RANK) -> None:
        self._rank = rank
        self._clock = dict.fromkeys(rank, 0.0)
        self._now = dict.fromkeys(rank.values(), 0.0)
        # When each was taken from last: below 0 and each another number, where nothing ever was,
        # so that the order is one that everybody who knows the clocks comes to.
        self._last = {lane: number - len(rank) for number, lane in enumerate(rank)}
        self._taken = 0

    def next(self, waiting: Collection[str]) -> str | None:
        """The lane of these that is to be looked into next; None if there are none."""
        return min(waiting, key=self._place, default=None)

    def took(self, lane: str, weight: float = 1.0) -> None:
        """A prompt of a tenant with this weight was taken from a lane."""
        rank = self._rank[lane]
        self._now[rank] = begun = max(self._now[rank], self._clock[lane])
        self._clock[lane] = begun + _step(weight)
        self._taken += 1
        self._last[lane] = self._taken

    def places(self, lane: str, weights: Iterable[float]) -> list[tuple[int, float, int, int]]:
        """Where in the order of all lanes those come who wait in one, who have these weights.

        Of lanes with the same clock one comes first from which fewer will have been taken by then.
        """
        rank, clock, last = self._place(lane)
        steps = accumulate((_step(weight) for weight in weights), initial=clock)
        return [(rank, begun, before, last) for before, begun in enumerate(steps)][:-1]

    def _place(self, lane: str) -> tuple[int, float, int]:
        rank = self._rank[lane]
        return rank, max(self._now[rank], self._clock[lane]), self._last[lane]


def _step(weight: float) -> float:
    """How far a turn moves the clock of a tenant's lane."""
    return 1 / min(MOST_WEIGHT, max(LEAST_WEIGHT, weight))
