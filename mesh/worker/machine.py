"""The machine this worker runs on, for operators: what it is, and how busy. Knows no engines."""

import asyncio
import platform
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from mesh.protocol.hardware import Load, Machine
from mesh.worker.gpus import Gpus

EVERY = 2.0
"""Seconds between two looks: as often as a worker says that it lives."""

_CPUS = Path("/proc/cpuinfo")


class Gauges:
    """Looks in a thread, for a driver may take its time. machine, load: None before the first."""

    def __init__(self, find: Callable[[], Gpus] = Gpus) -> None:
        self._find = find
        self._gpus: Gpus | None = None
        self.machine: Machine | None = None
        self.load: Load | None = None

    async def look(self) -> None:
        """See what there is, if that is not known yet, and how busy it is."""
        await asyncio.to_thread(self._look)

    async def watch(self) -> None:
        """Look now and again until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self.look()

    def _look(self) -> None:
        if self._gpus is None:
            self._gpus = self._find()
            self.machine = machine(self._gpus)
        self.load = load(self._gpus)


def machine(gpus: Gpus) -> Machine:
    """What there is."""
    return Machine(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=_cpu(),
        cores=psutil.cpu_count() or 0,
        memory=psutil.virtual_memory().total,
        swap=psutil.swap_memory().total,
        driver=gpus.driver,
        gpus=gpus.gpus,
    )


def load(gpus: Gpus) -> Load:
    """How busy it is: the CPUs since the look before, the rest now."""
    return Load(
        cpu=round(psutil.cpu_percent() / 100, 3),
        memory=round(psutil.virtual_memory().percent / 100, 3),
        swap=round(psutil.swap_memory().percent / 100, 3),
        gpus=gpus.loads(),
    )


def _cpu() -> str:
    """The CPU's name; Linux keeps it in a file, others tell what they like."""
    with suppress(OSError):
        for line in _CPUS.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor()
