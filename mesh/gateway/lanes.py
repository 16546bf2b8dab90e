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

    def subject(self, request: Request) -> str:
        """Where a prompt is to wait."""
        if self.used(request.model):
            return _in_lane(request)
        return subjects.req_in_line(request.model, request.tenant)

    def places(self, model: str, tenant: str, priority: Priority) -> tuple[str, set[str]]:
        """Where all waits that a tenant has asked a model for; where of this priority.

        In one lane of the two, but just after the tenant's weight was set below 1, or no more is.
        """
        if not self.used(model):
            line = subjects.req_in_line(model, tenant)
            return line, {line}
        lanes = {subjects.req(model, tenant, priority, weight) for weight in (0.0, 1.0)}
        return subjects.reqs_of(model, tenant), lanes

    def found_at(self, request: Request) -> tuple[str, ...]:
        """Where somebody comes for it: what lies in lanes that nobody looks into any more does not
        count."""
        line = subjects.req_in_line(request.model, request.tenant)
        serving = self._serving(request.model)
        if serving and not any(worker.lanes for worker in serving):
            return (line,)
        return _in_lane(request), line

    def _serving(self, model: str) -> list[WorkerInfo]:
        workers = self._fleet.workers.values()
        return [worker for worker in workers if any(card.name == model for card in worker.models)]


def _in_lane(request: Request) -> str:
    return subjects.req(request.model, request.tenant, request.priority, request.weight)
