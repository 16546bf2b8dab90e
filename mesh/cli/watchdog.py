"""Ends what `mesh up` started when `mesh up` is gone, however it went. A process of its own.

It reads `+<group>` and `-<group>` lines, process groups that began and ended, until its input
ends: the kernel closes it with the last of `mesh up`. Then it kills what is left.
"""

import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress


def follow(lines: Iterable[bytes]) -> set[int]:
    """The process groups that began and did not end."""
    alive: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith(b"+"):
            alive.add(group)
        else:
            alive.discard(group)
    return alive


def main() -> None:
    """Ignore what a terminal sends to everybody, and wait for the end of the input."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for group in follow(sys.stdin.buffer):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
