"""`GET /workers/sessions`: the worker processes present, what they run on and how busy that is.

For operators. `GET /workers` is the short list for everybody who is signed in.
"""

from litestar import get
from msgspec import Struct

from mesh.gateway.errors import AnyRequest
from mesh.gateway.services import Wired
from mesh.gateway.views import ModelConfigRead, model_config_read
from mesh.protocol.hardware import Gpu, GpuLoad, Load, Machine
from mesh.protocol.worker_info import WorkerInfo


class GpuRead(Struct, frozen=True, kw_only=True):
    """A GPU; total_memory: bytes."""

    name: str
    total_memory: int


class HardwareRead(Struct, frozen=True, kw_only=True):
    """A machine. mem_total, swap_total: bytes; nvidia_driver_version: null without a GPU."""

    system: str
    cpu: str
    cpu_count_logical: int
    mem_total: int
    swap_total: int
    nvidia_driver_version: str | None
    gpus: list[GpuRead]


class WorkerConfigRead(Struct, frozen=True, kw_only=True):
    """What a worker serves: null while it serves nothing. max_parallel_requests: its slots."""

    model_config: ModelConfigRead | None
    max_parallel_requests: int


class SessionInfo(Struct, frozen=True, kw_only=True):
    """hardware_info: null where a worker of an older version does not say."""

    config: WorkerConfigRead
    hardware_info: HardwareRead | None
    version: str
    host: str
    pid: int


class GpuMetrics(Struct, frozen=True, kw_only=True):
    """gpu_usage: percent; mem_usage: bytes in use."""

    gpu_usage: float
    mem_usage: int


class Metrics(Struct, frozen=True, kw_only=True):
    """Percent, of the whole machine; process_memory: bytes of the worker; speed: tokens/s."""

    cpu_usage: float
    mem_usage: float
    swap_usage: float
    gpus: list[GpuMetrics]
    process_memory: int
    speed: float


class WorkerSession(Struct, frozen=True, kw_only=True):
    """A worker process. id: of this process; worker_id: its name, under which it is enrolled;
    started: Unix seconds; metrics: no older than some seconds."""

    id: str
    worker_id: str
    worker_info: SessionInfo
    requests_in_flight: int
    metrics: Metrics | None
    started: float
    state: str


@get("/workers/sessions")
async def worker_sessions(request: AnyRequest, services: Wired) -> list[WorkerSession]:
    """The worker processes present, by name, with hardware and load. For operators."""
    services.doorman.signed_in(request)
    present = sorted(services.fleet.workers.values(), key=lambda worker: worker.name)
    return [_session(worker) for worker in present]


def _session(info: WorkerInfo) -> WorkerSession:
    card = info.models[0] if info.models else None
    config = WorkerConfigRead(
        model_config=None if card is None else model_config_read(card.name, card),
        max_parallel_requests=info.slots,
    )
    return WorkerSession(
        id=info.inc,
        worker_id=info.name,
        worker_info=SessionInfo(
            config=config,
            hardware_info=None if info.machine is None else _hardware(info.machine),
            version=info.version,
            host=info.host,
            pid=info.pid,
        ),
        requests_in_flight=info.running,
        metrics=None if info.load is None else _metrics(info, info.load),
        started=info.started,
        state="draining" if info.draining else info.state,
    )


def _hardware(machine: Machine) -> HardwareRead:
    return HardwareRead(
        system=machine.system,
        cpu=machine.cpu,
        cpu_count_logical=machine.cores,
        mem_total=machine.memory,
        swap_total=machine.swap,
        nvidia_driver_version=machine.driver or None,
        gpus=[_gpu(gpu) for gpu in machine.gpus],
    )


def _gpu(gpu: Gpu) -> GpuRead:
    return GpuRead(name=gpu.name, total_memory=gpu.memory)


def _metrics(info: WorkerInfo, load: Load) -> Metrics:
    return Metrics(
        cpu_usage=_percent(load.cpu),
        mem_usage=_percent(load.memory),
        swap_usage=_percent(load.swap),
        gpus=[_gpu_metrics(gpu) for gpu in load.gpus],
        process_memory=info.memory,
        speed=info.speed,
    )


def _gpu_metrics(gpu: GpuLoad) -> GpuMetrics:
    return GpuMetrics(gpu_usage=_percent(gpu.usage), mem_usage=gpu.memory)


def _percent(fraction: float) -> float:
    return round(100 * fraction, 1)
