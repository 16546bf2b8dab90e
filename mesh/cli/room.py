"""Notices that the broker's disk was full, and when there is room again. Starts nothing itself.

A nats-server that could not write for want of room does not try again: it refuses whatever is to
be stored until it is started anew. What it had acknowledged is on its disk.
"""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

EVERY = 1.0
"""Seconds between two looks whether there is room."""

NEEDED = 4 << 20
"""Bytes of room with which a broker is worth starting again."""

_FULL = tuple(os.strerror(number).lower() for number in (errno.ENOSPC, errno.EDQUOT))
"""How a broker says it, in the operating system's words."""

_PROBE = "room"
"""A file beside the streams that is written and removed again, to see whether there is room."""


def says_full(text: str) -> bool:
    """Whether what a broker has printed says that it had no room to write."""
    return any(words in text.lower() for words in _FULL)


def has_room(folder: Path) -> bool:
    """Whether a broker could write there.

    Tried, because a quota shows in no count of free blocks, but only where the count allows it, so
    that nobody lacks room for our trial.
    """
    probe = folder / _PROBE
    try:
        found = os.statvfs(folder)
        if found.f_bavail * found.f_frsize < 2 * NEEDED:
            return False
        probe.write_bytes(bytes(NEEDED))
        return True
    except OSError:
        return False
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


class Room:
    """What is known of the room of one broker. streams: its folder; say: for people to read."""

    def __init__(self, streams: Path, say: Callable[[str], None]) -> None:
        self._streams = streams
        self._say = say
        self._lacking = asyncio.Event()

    def hear(self, line: str) -> None:
        """A line that the broker has printed."""
        if says_full(line):
            self._lacking.set()

    async def watch(self, start_again: Callable[[], Awaitable[None]]) -> None:
        """Whenever the broker had no room, wait for some and start it again; until cancelled.

        start_again: returns when all was heard that the broker had to say; it says it to its end.
        """
        while True:
            await self._lacking.wait()
            self._say(
                f"The disk of {self._streams} is full: answers wait, and no new requests are "
                "accepted. Make room there; the broker is started again when there is some."
            )
            while not await asyncio.to_thread(has_room, self._streams):
                await asyncio.sleep(EVERY)
            self._say("There is room again; the broker writes on only when it is started again")
            await start_again()
            self._lacking.clear()
