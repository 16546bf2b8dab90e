"""How often one may try to sign in: failures are counted per name and address, and of each. Pure.

Who guesses at somebody's name from one address keeps nobody else out who has that name; from many
addresses they are kept to a number that finds no password.

An attempt counts as a failure from its beginning on, so that a thousand at once are no way round;
one that succeeds is taken back.
"""

from collections import deque
from collections.abc import Callable, Iterable

from mesh.protocol.errors import ErrorCode, MeshError

WINDOW = 600.0
"""Seconds in which failures are counted."""

PER_NAME, PER_ADDRESS, EVERYWHERE = 10, 100, 100
"""Failures within the window: for a name from one address, from an address, for a name from
everywhere. Many people may share an address, as behind a proxy."""

MOST_KEPT = 100_000
"""Names and addresses that are remembered; beyond that the oldest are forgotten."""


class Attempts:
    """The failures of late. `clock`: seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}

    def begin(self, name: str, address: str) -> None:
        """Count an attempt. Raises MeshError (rate_limited) if there were too many failures."""
        now = self._clock()
        for key, most in _counted(name, address):
            failures = self._of(key, now)
            if len(failures) >= most:
                wait = failures[0] + WINDOW - now
                raise MeshError(
                    ErrorCode.RATE_LIMITED,
                    "Too many attempts to sign in have failed; try again later.",
                    retry_after=max(1.0, wait),
                )
        for key, _ in _counted(name, address):
            self._failures.setdefault(key, deque()).append(now)
        self._forget()

    def passed(self, name: str, address: str) -> None:
        """The attempt was right: the name begins anew at this address, all else gets it back."""
        for key, _ in _counted(name, address):
            failures = self._failures.get(key)
            if failures:
                failures.pop()
        self._failures.pop(_here(name, address), None)

    def _of(self, key: str, now: float) -> deque[float]:
        failures = self._failures.get(key, deque())
        while failures and failures[0] <= now - WINDOW:
            failures.popleft()
        return failures

    def _forget(self) -> None:
        while len(self._failures) > MOST_KEPT:
            del self._failures[next(iter(self._failures))]


def _here(name: str, address: str) -> str:
    return f"name {address} {name}"


def _counted(name: str, address: str) -> Iterable[tuple[str, int]]:
    yield _here(name, address), PER_NAME
    yield f"everywhere {name}", EVERYWHERE
    if address:
        yield f"address {address}", PER_ADDRESS
