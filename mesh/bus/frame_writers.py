"""The frame writers of one worker process: one for each reply address that it writes for now.

A gateway without a name of its own has a new address with each start, so a writer is let go when
nobody writes there any more. Where its chain had come to is remembered: whoever writes there again
goes on behind it.
"""

import asyncio
from collections.abc import Callable, Collection

from mesh.bus.frames import FrameWriter
from mesh.bus.jetstream import JetStream
from mesh.bus.lasting import Lasting
from mesh.bus.trace import working_for
from mesh.protocol.subjects import Writer

REMEMBERED = 10_000
"""Addresses of which the end of the chain is known: far more than gateways are started before the
log forgets what was written for the first of them."""


class FrameWriters:
    """unsayable: as of `FrameWriter`; lasting: has what writes."""

    def __init__(
        self, js: JetStream, writer: Writer, unsayable: Callable[[str], None], lasting: Lasting
    ) -> None:
        self._js = js
        self._writer = writer
        self._unsayable = unsayable
        self._lasting = lasting
        self._writing: dict[str, tuple[FrameWriter, asyncio.Task[None]]] = {}
        self._ends: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._writing)

    def at(self, reply: str) -> FrameWriter:
        """The one that writes for an address."""
        if reply not in self._writing:
            last = self._ends.pop(reply, 0)
            frames = FrameWriter(self._js, reply, self._writer, self._unsayable, last)
            with working_for(""):  # it goes on for others
                self._writing[reply] = frames, self._lasting.start(frames.run())
        return self._writing[reply][0]

    def let_go(self, needed: Collection[str]) -> None:
        """Keep those of the addresses needed, and those that have something to write yet."""
        for reply, (frames, task) in list(self._writing.items()):
            if reply not in needed and frames.idle:
                task.cancel()
                del self._writing[reply]
                self._ends[reply] = frames.last
        while len(self._ends) > REMEMBERED:
            del self._ends[next(iter(self._ends))]
