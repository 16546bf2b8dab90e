"""Where a prompt waits for a worker: in its tenant's lane, or in one line with all others.

The line is for neighbours: a worker of a version that knows of no lanes takes its prompts from it
alone. While one of them serves a model all its prompts go there, and every worker takes from it.
"""

from mesh.bus.presence import Fleet
from mesh.protocol import subjects
from mesh.protocol.request import Request
from mesh.protocol.subjects import Priority
from mesh.protocol.worker_info import WorkerInfo


class Lanes:
    """Knows by the workers present which of the two it is."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def used(self, model: str) -> bool:
        """Whether a model's prompts go into lanes."""
        return all(worker.lanes for worker in self._serving(model))

    def subject(self, model: str, tenant: str, priority: Priority) -> str:
        """Where a tenant's prompt for a model is to wait."""
        if self.used(model):
            return subjects.req(model, tenant, priority)
        return subjects.req_in_line(model, tenant)

    def found_at(self, request: Request) -> tuple[str, ...]:
        """Where somebody comes for it: what lies in lanes that nobody looks into any more does not
        count."""
        line = subjects.req_in_line(request.model, request.tenant)
        serving = self._serving(request.model)
        if serving and not any(worker.lanes for worker in serving):
            return (line,)
        return subjects.req(request.model, request.tenant, request.priority), line

    def _serving(self, model: str) -> list[WorkerInfo]:
        workers = self._fleet.workers.values()
        return [worker for worker in workers if any(card.name == model for card in worker.models)]
