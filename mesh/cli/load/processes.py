"""What processes of this machine spend while a load is on: CPU time and resident memory."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import psutil

from mesh.cli.load.figures import Spent

LOOK = 0.25
"""Seconds between two looks at the memory."""

KINDS = ("gateway", "store", "worker")


def of_mesh(pid: int) -> dict[str, list[int]]:
    """The processes of a `mesh up` by kind: broker, gateway, store, worker. Empty if it is gone."""
    found: dict[str, list[int]] = {}
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children():
            kind = _kind(child)
            if kind:
                found.setdefault(kind, []).append(child.pid)
    return found


def _kind(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        arguments = process.cmdline()
        if any(argument.endswith("nats-server") for argument in arguments[:1]):
            return "broker"
        return next((kind for kind in KINDS if kind in arguments), "")
    return ""


class Watch:
    """Sums up what each kind of process spends between `running`'s begin and end."""

    def __init__(self, pids: Mapping[str, Sequence[int]]) -> None:
        self._processes = {
            kind: [psutil.Process(pid) for pid in of_kind] for kind, of_kind in pids.items()
        }
        self._before: dict[str, float] = {}
        self._most: dict[str, int] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watch during the body; then read `spent`."""
        self._before = {kind: self._cpu(kind) for kind in self._processes}
        self._most = {}
        self._look()
        looking = asyncio.create_task(self._keep_looking())
        try:
            yield
        finally:
            looking.cancel()
            self._look()

    def spent(self) -> dict[str, Spent]:
        return {
            kind: Spent(self._cpu(kind) - self._before[kind], self._most[kind])
            for kind in self._processes
        }

    def _cpu(self, kind: str) -> float:
        times = [process.cpu_times() for process in self._processes[kind]]
        return sum(time.user + time.system for time in times)

    def _look(self) -> None:
        for kind, processes in self._processes.items():
            now = sum(process.memory_info().rss for process in processes)
            self._most[kind] = max(now, self._most.get(kind, 0))

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            self._look()
