"""`POST /auth/trusted`: makes the user that a trusted client speaks for (`trusted_clients.py`)."""

from litestar import post
from msgspec import Struct

from mesh.gateway.errors import AnyRequest
from mesh.gateway.services import Wired
from mesh.gateway.trusted_clients import HEADER, sign_in
from mesh.protocol.errors import ErrorCode, MeshError

MISSING = f"Say whom you speak for, in the header {HEADER}."


class TrustedUser(Struct, frozen=True, kw_only=True):
    """A trusted client's user. id: this mesh's own; provider_account_id: as the client said."""

    id: str
    provider: str
    provider_account_id: str
    display_name: str
    created_at: float
    deleted: bool = False


@post("/auth/trusted", status_code=200, public=True, headers={HEADER: "Who asks, and for whom."})
async def trusted(request: AnyRequest, services: Wired) -> TrustedUser:
    """The user that a trusted client speaks for; made when new."""
    header = request.headers.get(HEADER.lower())
    if header is None:
        raise MeshError(ErrorCode.INVALID_TOKEN, MISSING)
    claims = services.trusted.claims(header)
    user = await services.store.ask(sign_in(claims, known_only=False))
    return TrustedUser(
        id=user.id,
        provider=claims.client,
        provider_account_id=claims.provider_account_id,
        display_name=user.display_name,
        created_at=user.created_at,
    )
