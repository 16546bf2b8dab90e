"""How a worker tells the supervisor that started it whether it has requests in hand.

Over a pipe that it inherits: what it said last is known even of one that is killed. Who was not
started by a supervisor tells nobody.
"""

import os
from collections.abc import Mapping
from contextlib import suppress

VARIABLE = "AT_WORK_FD"
"""The environment variable with the number of the pipe's descriptor."""

BUSY, IDLE = b"+", b"-"


class AtWork:
    """Call it with whether there is anything in hand, whenever that changes."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._descriptor: int | None = None
        with suppress(KeyError, ValueError, OSError):
            descriptor = int(environment[VARIABLE])
            os.set_blocking(descriptor, False)  # a supervisor that stands still holds nobody up
            os.set_inheritable(descriptor, False)
            self._descriptor = descriptor

    def __call__(self, busy: bool) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                os.write(self._descriptor, BUSY if busy else IDLE)
