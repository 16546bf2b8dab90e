"""Asks a worker process whether it lives, and whether it works on a request."""

import asyncio
import math
import time
from collections.abc import Callable
from enum import Enum

import msgspec

from mesh.bus.connection import Bus, BusError, Disconnected, NoResponders
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.questions import Alive, Ask
from mesh.protocol.subjects import Writer

ASK_TIMEOUT = 0.2
"""Seconds for a living worker to say so; a paused one does not, and loses its claim."""

BROKERS_WORD = 2.0
"""Seconds for the broker, busy as it may be, to say that nobody listens any more."""


RETURNING = 5.0
"""Seconds after our own connection came back in which others may still be on their way.

They try five times a second, and a try may take two: it is more than that and more than the time
between two signs of life.
"""

AGAIN = 0.2
"""Seconds until a worker is asked again that may not be back yet."""

NEVER = -math.inf
"""The time of what has never been."""


def never() -> float:
    """When a process parted of which nothing is known."""
    return NEVER


class Says(Enum):
    """What comes of asking. Only who works on it keeps its claim."""

    WORKING = "working"
    """It lives and works on the request."""
    NOT_MINE = "not mine"
    """It lives and does not work on it: it has given it back, or never had it."""
    HANDED_OVER = "handed over"
    """The same, and its engine was well when it gave it back."""
    GONE = "gone"
    """Nobody listens there any more, by the broker's word."""
    SILENT = "silent"
    """No answer: paused, cut off, or too busy to be trusted with a claim."""


ABSENT = (Says.GONE, Says.SILENT)


async def ask(
    bus: Bus,
    writer: Writer,
    rid: str,
    timeout: float = ASK_TIMEOUT,
    parted: Callable[[], float] = never,
) -> Says:
    """Ask a worker process whether it works on a request. timeout: seconds of silence.

    While the broker was away nobody could answer, and whoever is back first hears nobody: so long
    silence says nothing of the one who is asked, and it is waited for. Not so of one that is gone
    and had been back, for the broker has said since that its connection ended: `parted` says when,
    by `time.monotonic`.
    """
    while True:
        try:
            says = await _ask(bus, writer, rid, timeout)
            had_been_back = says is Says.GONE and parted() > bus.returned
            late = time.monotonic() > bus.returned + RETURNING
            if says not in ABSENT or had_been_back or late:
                return says
        except Disconnected:
            if bus.closed.is_set():
                return Says.SILENT
        await asyncio.sleep(AGAIN)


async def _ask(bus: Bus, writer: Writer, rid: str, timeout: float) -> Says:
    """Ask once. Raises Disconnected."""
    try:
        answer = await bus.ask(subjects.ask(writer), Ask(rid=rid), timeout)
        alive = decode(answer.data, Alive)
    except NoResponders:
        return Says.GONE
    except Disconnected:
        raise
    except (BusError, msgspec.DecodeError):
        return Says.SILENT
    if alive.holding:
        return Says.WORKING
    return Says.HANDED_OVER if alive.handed_over else Says.NOT_MINE


async def lives(bus: Bus, writer: Writer) -> bool:
    """Whether anybody still listens under a worker process's name; a paused one counts."""
    return await ask(bus, writer, "", BROKERS_WORD) is not Says.GONE
