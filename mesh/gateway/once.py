"""What an `Idempotency-Key` makes once: ids of objects, so that the same request finds the same."""

from typing import Any

from mesh.gateway import keys
from mesh.gateway.errors import AnyRequest
from mesh.gateway.headers import KEY, REPEATABLE, body_digest, idempotency_key
from mesh.gateway.services import Services
from mesh.gateway.tokens import Principal
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.once import HALF

MADE_ONCE: dict[str, Any] = {"headers": REPEATABLE, "leads_to": keys.KINDS}
"""What such a route says of itself: the kinds that answers have tell nothing of its keys."""


async def made_id(services: Services, principal: Principal, request: AnyRequest) -> str:
    """The id of what a request makes on this route, without what says its kind; "" without a key.

    Its first half follows from the key, the second from what is asked for, too: whoever finds the
    first with another second one was asked for something else (`mesh.store.queries.once`).
    Raises MeshError (bad_request).
    """
    key = idempotency_key(request)
    if not key:
        return ""
    named = keys.made(key, request.url.path)
    asked = f"{named}\n{await body_digest(request)}"
    return services.rid(principal, named)[:HALF] + services.rid(principal, asked)[HALF:]


def check_repeatable(request: AnyRequest) -> None:
    """Raise MeshError (bad_request) for a key where what is made cannot be made once."""
    why = request.route_handler.opt.get("unrepeatable", "")
    if why and idempotency_key(request):
        detail = f"{why} An Idempotency-Key does nothing here; leave it out."
        raise MeshError(ErrorCode.BAD_REQUEST, detail, param=KEY)
