"""What time it is in the mesh: by the broker's clock, however this machine's is set.

Deadlines are made on one machine and kept on others, so all of them go by one clock. Gateways ask
the broker; workers, who may not, ask a gateway. In between a process counts its own ticks, which
nobody can set. Seconds of Unix time everywhere.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable

from mesh.bus.connection import BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import unix
from mesh.protocol import subjects
from mesh.protocol.errors import MeshError

log = logging.getLogger(__name__)

EVERY = 20.0
"""Seconds between two questions: the broker's clock is set, ticks drift, and there are machines
whose ticks stand still while they sleep."""

SOON = 1.0
"""Seconds until somebody is asked again, who has not told the time yet."""

Ask = Callable[[], Awaitable[float]]
"""Asks somebody who knows for the time; 0.0 where they do not say. Raises BusError, MeshError."""


def _unsleeping() -> int | None:
    """The system's clock that goes on while the machine sleeps and that nobody sets; None where
    there is none. Python's `time.monotonic` stands still in suspend, on Linux and macOS alike."""
    name = "CLOCK_MONOTONIC_RAW" if sys.platform == "darwin" else "CLOCK_BOOTTIME"
    found: int | None = getattr(time, name, None)
    try:
        if found is not None:
            time.clock_gettime(found)
    except OSError:  # a kernel, or what stands in for one, that has it in name only
        return None
    return found


_UNSLEEPING = _unsleeping()


def ticks() -> float:
    """Seconds since whenever, also those in which the machine slept, where the system counts them:
    else a gateway that slept an hour would give its next requests deadlines in the past."""
    return time.monotonic() if _UNSLEEPING is None else time.clock_gettime(_UNSLEEPING)


class Clock:
    """Call it for the time. Until somebody has told it is this machine's.

    own: this machine's time; ticks: seconds since whenever, which only ever go on.
    """

    def __init__(
        self, own: Callable[[], float] = time.time, ticks: Callable[[], float] = ticks
    ) -> None:
        self._own = own
        self._ticks = ticks
        self._began: float | None = None

    def __call__(self) -> float:
        return self._own() if self._began is None else self._began + self._ticks()

    async def learn(self, ask: Ask) -> None:
        """Ask for the time. What is known better than the answer can tell stays as it is.

        Nobody knows when on its way the question was answered: it may be off by half of that.
        """
        asked = self._ticks()
        told = await ask()
        answered = self._ticks()
        half = (answered - asked) / 2
        began = told + half - answered
        if told and (self._began is None or abs(began - self._began) > half):
            self._began = began

    async def keep(self, ask: Ask) -> None:
        """Ask again now and then, until cancelled; soon, where nobody has told yet."""
        while True:
            await asyncio.sleep(EVERY if self._began is not None else SOON)
            try:
                await self.learn(ask)
            except (BusError, MeshError) as error:
                log.debug("Asking for the time: %s", error)


async def brokers(js: JetStream, stream: str = subjects.LEASES_STREAM) -> float:
    """The broker's time; stream: any of which whoever asks may ask. Raises BusError."""
    return unix((await js.stream_info(stream)).ts)
