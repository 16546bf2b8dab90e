"""How the mesh stands at the moment somebody asks: queues, workers, broker. Counts nothing."""

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mesh.bus.connection import Bus
from mesh.bus.presence import Fleet
from mesh.gateway.metrics.machines import machines
from mesh.gateway.models import Models
from mesh.gateway.waiting import WaitingRoom


class Sight(Protocol):
    """What is looked at; `Services` has it."""

    @property
    def bus(self) -> Bus: ...
    @property
    def fleet(self) -> Fleet: ...
    @property
    def models(self) -> Models: ...
    @property
    def waiting(self) -> WaitingRoom: ...


class State(Collector):
    """Every gateway sees the same mesh: of these take the maximum, and not the sum."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight

    def describe(self) -> list[Metric]:
        """Nothing is asked of the mesh when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        sight = self._sight
        broker = _gauge("mesh_broker_connected", "Whether the broker can be reached.")
        broker.add_metric([], float(sight.bus.connected))
        yield broker
        waiting = _gauge("mesh_queue_depth", "Requests that wait for a worker.", "model")
        for model in sight.models.cards():
            waiting.add_metric([model], sight.waiting.size(model))
        yield waiting
        yield from self._workers()
        yield from machines(sight.fleet.workers.values())

    def _workers(self) -> Iterator[Metric]:
        states: Counter[tuple[str, str]] = Counter()
        slots: Counter[str] = Counter()
        busy: Counter[str] = Counter()
        speed: Counter[str] = Counter()
        for worker in self._sight.fleet.workers.values():
            model = worker.models[0].name if worker.models else ""
            states[model, "draining" if worker.draining else worker.state] += 1
            slots[model] += worker.slots
            busy[model] += worker.running
            speed[model] += round(worker.speed)
        workers = _gauge("mesh_workers", "Workers present.", "model", "state")
        for (model, state), count in states.items():
            workers.add_metric([model, state], count)
        yield workers
        for name, what, found in (
            ("mesh_slots", "Requests that the workers can work on at once.", slots),
            ("mesh_slots_busy", "Requests that they work on.", busy),
            ("mesh_tokens_per_second", "Tokens a second, by the workers' own count.", speed),
        ):
            gauge = _gauge(name, what, "model")
            for model, value in found.items():
                gauge.add_metric([model], value)
            yield gauge


def _gauge(name: str, what: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, labels=labels)
