"""What Prometheus is told of the workers' machines, GPU by GPU."""

from mesh.gateway.metrics.machines import machines
from mesh.protocol.hardware import GpuLoad, Load
from mesh.protocol.worker_info import WorkerInfo

GIB = 1 << 30


def worker(name: str, load: Load | None) -> WorkerInfo:
    return WorkerInfo(
        name=name,
        inc="i1",
        protocol=1,
        version="1",
        models=(),
        slots=1,
        started=0.0,
        memory=GIB,
        load=load,
    )


def test_each_gpu_of_each_worker_is_told_and_who_does_not_say_is_left_out() -> None:
    gpus = (GpuLoad(usage=0.25, memory=3 * GIB), GpuLoad(usage=1.0, memory=9 * GIB))
    busy = Load(cpu=0.5, memory=0.75, gpus=gpus)
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in machines([worker("attic", busy), worker("old", None)])
        for sample in metric.samples
    }
    assert found == {
        ("mesh_worker_cpu_ratio", "attic"): 0.5,
        ("mesh_worker_memory_ratio", "attic"): 0.75,
        ("mesh_worker_process_bytes", "attic"): GIB,
        ("mesh_worker_process_bytes", "old"): GIB,
        ("mesh_worker_gpu_ratio", "attic", "0"): 0.25,
        ("mesh_worker_gpu_ratio", "attic", "1"): 1.0,
        ("mesh_worker_gpu_memory_bytes", "attic", "0"): 3 * GIB,
        ("mesh_worker_gpu_memory_bytes", "attic", "1"): 9 * GIB,
    }
