"""`GET /metrics`: what Prometheus reads."""

from litestar import Response, get
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from mesh.gateway.errors import AnyRequest
from mesh.gateway.services import Wired


@get("/metrics", text="text/plain")
async def metrics(request: AnyRequest, services: Wired) -> Response[bytes]:
    """Counts and measures of this gateway, and how the mesh stands, in Prometheus' text format.

    Open on this machine alone; from elsewhere with a sign-in, or a key of the scope `mesh`.
    """
    services.doorman.principal(request)
    await services.meters.storage.look(services.store)
    return Response(generate_latest(services.meters.registry), media_type=CONTENT_TYPE_LATEST)
