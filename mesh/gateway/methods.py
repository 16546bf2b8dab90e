"""Which methods a path takes, for those who tried another."""

from typing import Any

from litestar import Request
from litestar.datastructures import State
from litestar.routes import HTTPRoute


def methods_of(request: Request[Any, Any, State]) -> list[str]:
    """The methods of the routes of this request's path, in order. What takes GET takes HEAD."""
    parts = request.scope["path"].strip("/").split("/")
    found: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, HTTPRoute) and _fits(route, parts):
            found.update(route.methods)
    return sorted(found | {"HEAD"} if "GET" in found else found)


def _fits(route: HTTPRoute, parts: list[str]) -> bool:
    """Whether a path is one of a route's, whose parts are words, or parameters."""
    wanted = route.path_components or [""]
    return len(wanted) == len(parts) and all(
        want == part for want, part in zip(wanted, parts, strict=True) if isinstance(want, str)
    )
