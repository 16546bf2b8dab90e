"""Has the response to an HTTP request say what is left of the limits when it begins."""

from functools import partial

from mesh.gateway.doorman import PRINCIPAL
from mesh.gateway.errors import AnyRequest
from mesh.gateway.limits.headers import TOLD, headers
from mesh.gateway.limits.limiter import Limiter
from mesh.gateway.tokens import Principal


def tell(limiter: Limiter, request: AnyRequest) -> None:
    """Where somebody was let in: what they ask for counts already when this is said."""
    who: Principal | None = request.scope["state"].get(PRINCIPAL)
    if who is not None:
        request.scope["state"][TOLD] = partial(_left, limiter, who)


def _left(limiter: Limiter, who: Principal) -> list[tuple[bytes, bytes]]:
    return headers(limiter.rooms(who.user_id, who.key))
