"""The NVIDIA GPUs of this machine, as their driver tells of them; none where there is no driver.

Needs no CUDA: it asks the library that `nvidia-smi` asks.
"""

import logging
from typing import Any

import pynvml

from mesh.protocol.hardware import Gpu, GpuLoad

log = logging.getLogger(__name__)


class Gpus:
    """Blocks for a moment at each question. nvml: the driver's library (`pynvml`).

    gpus and driver: what there is; after a failure the driver is not asked again.
    """

    def __init__(self, nvml: Any = pynvml) -> None:
        self._nvml = nvml
        self._handles: list[Any] = []
        self.driver = ""
        self.gpus: tuple[Gpu, ...] = ()
        try:
            nvml.nvmlInit()
            count = nvml.nvmlDeviceGetCount()
            self._handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(count)]
            self.gpus = tuple(map(self._gpu, self._handles))
            self.driver = nvml.nvmlSystemGetDriverVersion()
        except nvml.NVMLError as error:
            log.debug("No NVIDIA GPU is here: %s", error)
            self._handles = []

    def loads(self) -> tuple[GpuLoad, ...]:
        """How busy each is now."""
        try:
            return tuple(map(self._load, self._handles))
        except self._nvml.NVMLError as error:
            log.warning("The GPUs' driver does not tell how busy they are: %s", error)
            self._handles = []
            return ()

    def _gpu(self, handle: Any) -> Gpu:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        return Gpu(name=self._nvml.nvmlDeviceGetName(handle), memory=memory.total)

    def _load(self, handle: Any) -> GpuLoad:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        usage = self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
        return GpuLoad(usage=usage, memory=memory.used)
