"""How busy the workers' machines are, as they say themselves: for Prometheus."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from mesh.protocol.worker_info import WorkerInfo


def machines(workers: Iterable[WorkerInfo]) -> Iterator[Metric]:
    """Of each worker's machine what its operating system and its GPUs' driver tell."""
    cpu = _gauge("mesh_worker_cpu_ratio", "How busy the CPUs of a worker's machine are.")
    memory = _gauge("mesh_worker_memory_ratio", "How full the memory of a worker's machine is.")
    process = _gauge("mesh_worker_process_bytes", "Memory that a worker's process takes.")
    gpu = _gauge("mesh_worker_gpu_ratio", "How busy a GPU is.", "gpu")
    gpu_memory = _gauge("mesh_worker_gpu_memory_bytes", "Memory in use of a GPU.", "gpu")
    for worker in workers:
        process.add_metric([worker.name], worker.memory)
        if worker.load is None:
            continue
        cpu.add_metric([worker.name], worker.load.cpu)
        memory.add_metric([worker.name], worker.load.memory)
        for number, load in enumerate(worker.load.gpus):
            gpu.add_metric([worker.name, str(number)], load.usage)
            gpu_memory.add_metric([worker.name, str(number)], load.memory)
    yield from (cpu, memory, process, gpu, gpu_memory)


def _gauge(name: str, what: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, labels=("worker", *labels))
