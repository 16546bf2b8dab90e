"""What an operator may order: a worker to leave, anybody's request to end. One's own request
everybody may end.
"""

from typing import Annotated

from litestar import post
from litestar.params import FromPath
from msgspec import Meta, Struct

from mesh.bus.leaving import tell_to_leave
from mesh.gateway.body import read_body
from mesh.gateway.errors import AnyRequest
from mesh.gateway.mesh_events import operates
from mesh.gateway.services import Wired
from mesh.gateway.stopping import Cancellation, cancellation, stop
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.subjects import Writer

DAY = 86_400.0


class DrainOrder(Struct, forbid_unknown_fields=True):
    """grace: seconds in which the worker may finish its answers before it hands them over."""

    grace: Annotated[float, Meta(ge=0, le=DAY)] = 30.0


class Draining(Struct, frozen=True):
    """The worker that was told to leave, and how many answers it was writing then."""

    worker: str
    running: int


@post("/workers/{name:str}/drain", status_code=200, body=DrainOrder)
async def drain_worker(request: AnyRequest, services: Wired, name: FromPath[str]) -> Draining:
    """Let a worker finish or hand over its answers, and leave. For operators.

    On a private gateway everybody is one.
    """
    if not operates(services, request, services.doorman.signed_in(request)):
        raise MeshError(ErrorCode.FORBIDDEN, "Only an operator may send a worker away.")
    order = await read_body(request, DrainOrder)
    worker = services.fleet.workers.get(name)
    if worker is None:
        raise MeshError(ErrorCode.NOT_FOUND, f"There is no worker {name!r} here.")
    writer = Writer(worker.name, worker.inc)
    await tell_to_leave(services.bus, writer, order.grace)
    return Draining(worker.name, worker.running)


@post("/mesh/requests/{rid:str}/cancel", status_code=200)
async def cancel_request(request: AnyRequest, services: Wired, rid: FromPath[str]) -> Cancellation:
    """End a request under way, whatever route it came by: one's own, or as an operator any."""
    principal = services.doorman.signed_in(request)
    run = await services.requests.logs.look(rid) if rid.isalnum() else None
    if run is None or run.queued is None:
        raise MeshError(ErrorCode.NOT_FOUND, "There is no such request.")
    own = run.queued.request.tenant == principal.user_id
    if not own and not operates(services, request, principal):
        raise MeshError(ErrorCode.NOT_FOUND, "There is no such request.")
    run = await stop(services, request, run, rid, by=principal.name)
    return cancellation(run)
