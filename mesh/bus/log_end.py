"""Where the log ends, by its leader's word, and whether that word is to be believed.

A cluster that was apart and comes together again may say for seconds that the log ends where it
ended before: such an answer proves nothing, neither that nothing was missed nor that the log was
replaced. What proves a new log, an empty one or one from a backup, is its time of creation.
"""

import asyncio
from typing import NamedTuple

from mesh.bus.connection import BusError
from mesh.bus.jetstream import JetStream
from mesh.protocol import subjects

LASTS = 30.0
"""Seconds for which the same log has to end before what is known of it, until that is believed: all
the brokers have lost its end, or their disks are from an earlier day. No cluster takes so long to
find together."""

ANSWERS = 10
"""Answers in a row that have to say so: whoever looks may have stood still between two of them."""

APART = 8.0
"""Seconds between two answers above which they are not in a row: the process stood still, or nobody
answered. Whoever is slowest to ask again does so after five."""


class Head(NamedTuple):
    """The end of the stream: what identifies it, and its last sequence (tokens included)."""

    created: str
    last: int


class Outdated(BusError):
    """The answer is older than what is known of the log. Ask again."""


class LogEnd:
    """Asks where the log ends. known: the last sequence that was ever heard of; lost: the log was
    replaced, or has lost its end, until whoever starts over then puts it back to False."""

    def __init__(self, js: JetStream) -> None:
        self._js = js
        self._created = ""
        self._outdated = 0
        self._since = self._latest = 0.0
        self.known = 0
        self.lost = False

    def heard(self, seq: int) -> None:
        """The log has a message of this sequence: no answer from now on may end before it."""
        self.known = max(self.known, seq)

    async def ask(self) -> Head:
        """Where it ends, at the earliest where it was known to when this was asked.

        Raises Outdated where the answer ends before, unless that has lasted; BusError.
        """
        known = self.known
        try:
            info = await self._js.stream_info(subjects.RUN_STREAM)
        except BusError:
            self._outdated = 0  # a cluster that has no leader is still finding together
            raise
        head = Head(info.created, info.state.last_seq)
        if head.created != self._created:
            self._begin(head, lost=self._created != "")
        elif head.last < min(known, self.known):  # less is known where it was replaced meanwhile
            self._doubt(head)
        else:
            self._outdated = 0
            self.heard(head.last)
        return head

    def _doubt(self, head: Head) -> None:
        """Raise Outdated, until the log has ended too early for LASTS seconds."""
        now = asyncio.get_running_loop().time()
        if self._outdated == 0 or now - self._latest > APART:
            self._outdated, self._since = 0, now
        self._outdated, self._latest = self._outdated + 1, now
        if self._outdated < ANSWERS or now - self._since < LASTS:
            raise Outdated(f"the log is said to end at {head.last}, and {self.known} was there")
        self._begin(head, lost=True)

    def _begin(self, head: Head, lost: bool) -> None:
        self._created, self.known, self._outdated = head.created, head.last, 0
        self.lost = self.lost or lost
