"""`POST /v1/embeddings`: refused, and why. No engine here makes embeddings yet."""

from litestar import post

from mesh.gateway.errors import AnyRequest
from mesh.gateway.openai.asked import unsupported
from mesh.gateway.services import Wired


@post("/v1/embeddings", status_code=200)
async def embeddings(request: AnyRequest, services: Wired) -> None:
    """Say that no model here makes embeddings."""
    services.doorman.principal(request)
    raise unsupported("model", "No model of this mesh makes embeddings; ask another service.")
