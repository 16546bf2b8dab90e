"""The machine this worker runs on, for operators: what it is, and how busy. Knows no engines."""

import asyncio
import logging
import platform
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from mesh.protocol.hardware import Load, Machine
from mesh.worker.gpus import Gpus

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two looks: as often as a worker says that it lives."""

_CPUS = Path("/proc/cpuinfo")


class Gauges:
    """Looks in a thread, for a driver may take its time, or for ever. machine, load: None before
    the first look, and where the system does not tell: nobody stops work for that."""

    def __init__(self, find: Callable[[], Gpus] = Gpus) -> None:
        self._find = find
        self._gpus: Gpus | None = None
        self._looked = asyncio.Event()
        self._told = False
        self.machine: Machine | None = None
        self.load: Load | None = None

    async def watch(self) -> None:
        """Look now and again until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY)

    async def looked(self) -> None:
        """Wait for the first look, though not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(EVERY):
                await self._looked.wait()

    async def look(self) -> None:
        """See what there is, if that is not known yet, and how busy it is."""
        try:
            await asyncio.to_thread(self._look)
        except (OSError, RuntimeError, psutil.Error) as error:
            self.load = None
            level = logging.DEBUG if self._told else logging.WARNING
            log.log(level, "This machine does not tell what it is, or how busy: %s", error)
            self._told = True
        self._looked.set()

    def _look(self) -> None:
        if self._gpus is None:
            self._gpus = self._find()
        if self.machine is None:
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
