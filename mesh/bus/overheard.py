"""What a follower has heard live of late, for those in its process who would read the log for it.

Sequences are given out without a hole, to whoever writes: of a stretch of which each one was heard
at one address nothing is missing, and nobody else has written there. Such a stretch need not be
read again. A batched read keeps the whole log from being written meanwhile, so in a mesh with one
gateway, whose own requests are nearly all that there is, this is worth much.
"""

from collections import deque

from mesh.bus.stored import Stored
from mesh.protocol import subjects

KEPT = 4096
"""Events that are remembered: of some seconds, of a busy mesh."""

BYTES = 8 << 20
"""That they may have together; a prompt may be large."""

NOTHING = -1
"""The last sequence that was heard where there is none."""


class Overheard:
    """The latest stretch without a hole: all that is beyond `_since`, up to `_last`.

    kept: events that are remembered; 0 where nobody would read them.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._since, self._last = 0, NOTHING
        self._events: deque[Stored] = deque()
        self._bytes = 0

    def note(self, stored: Stored) -> None:
        """A message was republished to us; one that does not follow on the last begins anew."""
        if stored.seq != self._last + 1:
            self.lost()
            self._since = stored.seq - 1
        self._last = stored.seq
        if subjects.is_event(stored.subject):
            self._events.append(stored)
            self._bytes += len(stored.data)
            while len(self._events) > self._kept or self._bytes > BYTES:
                oldest = self._events.popleft()
                self._since = oldest.seq
                self._bytes -= len(oldest.data)

    def lost(self) -> None:
        """The connection broke, or the log may be another: what comes begins a stretch of its own.

        Where it broke, sequences may have been given out a second time.
        """
        self._since, self._last = 0, NOTHING
        self._events.clear()
        self._bytes = 0

    def covers(self, after: int) -> bool:
        """Whether all is known that was heard beyond a sequence, without a hole in between."""
        return self._since <= after <= self._last

    def between(self, after: int, upto: int) -> list[Stored] | None:
        """The log's events after one sequence up to another, in order; None where they have to be
        read."""
        if not self.covers(after) or upto > self._last:
            return None
        found: list[Stored] = []
        for stored in reversed(self._events):
            if stored.seq <= after:
                break
            if stored.seq <= upto:
                found.append(stored)
        return found[::-1]
