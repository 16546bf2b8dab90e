"""What one worker knows of the lanes of a model's queue: where somebody waits, and where nobody.

Keeps the account of its pulls, and decides whose turn it is; sends none itself (`pull.py`).
"""

import time
from collections.abc import Callable, Iterator
from enum import Enum

from mesh.bus.turns import RANK, Turns

HEARTBEAT = 1.0
"""Seconds between the broker's signs of life on a pull that waits."""

EXPIRES = 30.0
"""Seconds that one pull waits at the broker."""

ANSWERED = 2.0
"""Seconds in which the broker says what there is in a lane."""

AGAIN = 1.0
"""Seconds until a lane is looked into again of which the broker knows nothing (yet)."""

MORE = 0.1
"""Seconds in which those come who come together."""

NOTHING_THERE, EXPIRED, ALIVE, NOBODY = "404", "408", "100", "503"
"""The broker's words on a pull: nobody waits; it waited long enough; it still waits; it knows of no
such lane, or of nobody who leads it."""


class Is(Enum):
    """How a lane stands. UNKNOWN: somebody may wait in it; ASKED: it is being looked into; EMPTY:
    nobody waits; WATCHED: nor did since, for a pull waits there and would have told."""

    UNKNOWN = 1
    ASKED = 2
    EMPTY = 3
    WATCHED = 4


class Lane:
    """pull: the number of its latest pull, which is for `left` prompts more; until: the time by
    which the broker should have been heard of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = Is.UNKNOWN
        self.pull = 0
        self.left = 0
        self.until = 0.0


class Lanes:
    """All lanes of one model."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pulls = 0
        self._lanes = {name: Lane(name) for name in RANK}
        self._turns = Turns()

    def lost(self) -> None:
        """No pull can be relied upon any more."""
        for lane in self._lanes.values():
            lane.state = Is.UNKNOWN

    def check(self) -> bool:
        """Give up the pulls of which the broker should have been heard; whether there were any."""
        now = self._clock()
        late = [
            lane
            for lane in self._lanes.values()
            if lane.state in (Is.ASKED, Is.WATCHED) and lane.until < now
        ]
        for lane in late:
            lane.state = Is.UNKNOWN
        return bool(late)

    def to_ask(self, free: int) -> tuple[Lane, int] | None:
        """The lane to look into now, and for how many prompts; one at a time."""
        if any(lane.state is Is.ASKED for lane in self._lanes.values()):
            return None
        unknown = [name for name, lane in self._lanes.items() if lane.state is Is.UNKNOWN]
        name = self._turns.next(unknown)
        return None if name is None else (self._lanes[name], max(1, free // len(unknown)))

    def to_watch(self) -> Iterator[Lane]:
        """The lanes in which a pull is to wait for whoever comes."""
        return (lane for lane in self._lanes.values() if lane.state is Is.EMPTY)

    def pulled(self, lane: Lane, state: Is, batch: int) -> None:
        """A pull for so many prompts is being sent."""
        self._pulls += 1
        lane.pull, lane.left, lane.state = self._pulls, batch, state
        lane.until = self._clock() + (ANSWERED if state is Is.ASKED else 3 * HEARTBEAT)

    def came(self, name: str, pending: int, weight: float, free: int) -> None:
        """A prompt came of a lane in which so many more wait; with no slot free it goes back."""
        lane = self._lanes.get(name)
        if lane is None:
            return
        lane.left = max(0, lane.left - 1)
        if free <= 0:
            lane.state = Is.UNKNOWN
            return
        self._turns.took(name, weight)
        if not pending and lane.state is not Is.WATCHED:
            lane.state = Is.EMPTY  # even if the pull was for more: the broker has cut it down
        elif not lane.left:
            lane.state = Is.UNKNOWN if pending else Is.EMPTY
        elif lane.state is Is.ASKED:
            lane.until = self._clock() + MORE

    def taken(self, name: str, weight: float) -> None:
        """Another worker took a prompt from a lane."""
        if name in self._lanes:
            self._turns.took(name, weight)

    def told(self, name: str, pull: int, status: str) -> None:
        """The broker's word on a pull."""
        lane = self._lanes.get(name)
        if lane is None or lane.pull != pull or lane.state in (Is.UNKNOWN, Is.EMPTY):
            return  # of a pull that was given up
        if status == ALIVE:
            lane.until = self._clock() + 3 * HEARTBEAT
        elif status in (NOTHING_THERE, EXPIRED):
            lane.state = Is.EMPTY
        else:  # no such lane (yet), or the broker is going away
            lane.state, lane.until = Is.WATCHED, self._clock() + AGAIN
