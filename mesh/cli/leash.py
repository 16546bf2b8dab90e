"""Ties child processes to this one, so that none outlives it, not even its kill -9.

On Linux the kernel kills each child with its parent (PR_SET_PDEATHSIG). Everywhere a watchdog
process kills the children's groups, and so their own children too, when this process is gone.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Self

_PR_SET_PDEATHSIG = 1


class Leash:
    """A watchdog, and the ends of the children it is told about. Use as a context manager."""

    def __enter__(self) -> Self:
        self._watchdog = subprocess.Popen(
            [sys.executable, "-m", "mesh.cli.watchdog"],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._watchdog.stdin is not None
        self._pipe = self._watchdog.stdin.fileno()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Whatever is still alive is killed now."""
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.close()
        self._watchdog.wait()

    def tie(self) -> Callable[[], None]:
        """What a new child, already the head of its group, has to call before it runs."""
        pipe, parent = self._pipe, os.getpid()
        die_with_parent = _die_with_parent()

        def tie() -> None:
            os.write(pipe, f"+{os.getpid()}\n".encode())
            die_with_parent()
            if os.getppid() != parent:
                os._exit(1)

        return tie

    def ended(self, pid: int) -> None:
        """A child was waited for: its number may be somebody else's from now on."""
        os.write(self._pipe, f"-{pid}\n".encode())


def _die_with_parent() -> Callable[[], None]:
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return arm
