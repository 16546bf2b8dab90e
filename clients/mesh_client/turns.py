"""Whose turn it is to sign in anew: of all who find their token run out at once, one asks for the
next one, and the others wait for it. No HTTP here.

A refresh token is good for one use; who uses it again may sign everybody out who has it. So all
clients of a process, on whatever threads and event loops, take turns for a sign-in that they share;
of processes, one renews it at a time (`locks`).
A turn is given back when its flight ends, however it does; whoever waits in vain goes alone.
"""

import asyncio
import threading
import time
from collections.abc import Hashable
from concurrent import futures
from contextlib import suppress
from weakref import WeakValueDictionary

from mesh_client.credentials import CredentialStore, FileStore

PATIENCE = 60.0
"""Seconds that one waits for others to sign in, however many try one after the other."""


class Flight:
    """A sign-in under way. refused: as whom, and with what, the gateway lets nobody in."""

    def __init__(self) -> None:
        self.refused: object = None
        self._thread = threading.get_ident()
        self._end: futures.Future[None] = futures.Future()
        self._end.set_running_or_notify_cancel()  # who stops waiting cancels nothing for others

    @property
    def landed(self) -> bool:
        """Whether it is over: the sign-in that is kept now counts, or it has brought none."""
        return self._end.done()

    def land(self) -> None:
        """Let all go on who wait."""
        self._end.set_result(None)

    def block(self, until: float) -> None:
        """Wait until it lands, at most until then (`time.monotonic`).

        Not at all on the thread that has begun it: its event loop could not go on.
        """
        if self._thread != threading.get_ident():
            futures.wait([self._end], max(0.0, until - time.monotonic()))

    async def awaited(self, until: float) -> None:
        """The same on an event loop, which may be another one than that of who has begun it."""
        with suppress(TimeoutError):
            left = max(0.0, until - time.monotonic())
            await asyncio.wait_for(asyncio.wrap_future(self._end), left)


class Turns:
    """Those of one sign-in: at most one flight at a time, unless somebody has to go alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flight: Flight | None = None

    def take(self, *, alone: bool = False) -> tuple[Flight, bool]:
        """The flight to wait for, False; or a new one, True, which the caller has to `give_back`.

        alone: in any case a new one, which others wait for from now on.
        """
        with self._lock:
            if self._flight is not None and not alone:
                return self._flight, False
            self._flight = Flight()
            return self._flight, True

    def give_back(self, flight: Flight) -> None:
        """End one's own flight."""
        with self._lock:
            if self._flight is flight:
                self._flight = None
        flight.land()


_lock = threading.Lock()
_turns: WeakValueDictionary[Hashable, Turns] = WeakValueDictionary()
"""By where a sign-in is kept. They live as long as somebody who holds both them and the store."""


def turns_of(store: CredentialStore) -> Turns:
    """The turns of all clients of this process that keep their sign-in in the same place."""
    place = store.place if isinstance(store, FileStore) else id(store)
    with _lock:
        turns = _turns.get(place)
        if turns is None:
            turns = _turns[place] = Turns()
        return turns
