"""What a worker tells of its machine; the GPUs' driver is stood in for, for few have one."""

import asyncio
from threading import Event
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from mesh.protocol.hardware import Gpu, GpuLoad, described
from mesh.worker import machine as worker_machine
from mesh.worker.gpus import Gpus
from mesh.worker.machine import Gauges

GIB = 1 << 30


class Driver:
    """As much of the library as is asked. silent: it fails from now on."""

    class NVMLError(Exception):
        pass

    def __init__(self, count: int = 2, silent: bool = False) -> None:
        self.count = count
        self.silent = silent

    def nvmlInit(self) -> None:
        self._speak()

    def nvmlDeviceGetCount(self) -> int:
        return self.count

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetName(self, handle: int) -> str:
        return f"GPU {handle}"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        self._speak()
        return SimpleNamespace(total=24 * GIB, used=6 * GIB)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        return SimpleNamespace(gpu=50)

    def nvmlSystemGetDriverVersion(self) -> str:
        return "590.1"

    def _speak(self) -> None:
        if self.silent:
            raise self.NVMLError("no driver")


async def test_a_worker_knows_its_machine_and_how_busy_it_is() -> None:
    gauges = Gauges(lambda: Gpus(Driver()))
    assert gauges.machine is None and gauges.load is None
    await gauges.look()
    machine, load = gauges.machine, gauges.load
    assert machine is not None and load is not None
    assert machine.cores >= 1 and machine.memory > GIB // 4 and machine.system
    assert machine.gpus == (
        Gpu(name="GPU 0", memory=24 * GIB),
        Gpu(name="GPU 1", memory=24 * GIB),
    )
    assert machine.driver == "590.1"
    assert load.gpus == (GpuLoad(usage=0.5, memory=6 * GIB),) * 2
    assert 0 <= load.cpu <= 1 and 0 < load.memory <= 1 and 0 <= load.swap <= 1
    assert "GPU 1 with 24 GiB" in described(machine)


async def test_without_a_driver_there_are_no_gpus() -> None:
    gauges = Gauges(lambda: Gpus(Driver(silent=True)))
    await gauges.look()
    assert gauges.machine is not None and gauges.load is not None
    assert (gauges.machine.gpus, gauges.machine.driver, gauges.load.gpus) == ((), "", ())


async def test_a_driver_that_falls_silent_is_asked_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    driver = Driver()
    gauges = Gauges(lambda: Gpus(driver))
    await gauges.look()
    driver.silent = True
    for _ in range(2):
        await gauges.look()
        assert gauges.load is not None and gauges.load.gpus == ()
    assert len(caplog.records) == 1


async def test_nobody_waits_for_ever_for_a_driver_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_machine, "EVERY", 0.05)
    answered = Event()

    def hangs() -> Gpus:
        answered.wait()
        return Gpus(Driver())

    gauges = Gauges(hangs)
    watching = asyncio.create_task(gauges.watch())
    async with asyncio.timeout(60):
        await gauges.looked()
    assert gauges.machine is None and not watching.done()
    answered.set()
    async with asyncio.timeout(60):
        while gauges.load is None:
            await asyncio.sleep(0.01)
    watching.cancel()


async def test_a_system_that_does_not_tell_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def forbidden() -> float:
        raise PermissionError(13, "Permission denied", "/proc/stat")

    gauges = Gauges(lambda: Gpus(Driver()))
    await gauges.look()
    monkeypatch.setattr(psutil, "cpu_percent", forbidden)
    for _ in range(2):
        await gauges.look()
        assert gauges.load is None and gauges.machine is not None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    monkeypatch.undo()
    await gauges.look()
    assert gauges.load is not None
