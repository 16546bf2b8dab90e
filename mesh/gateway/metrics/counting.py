"""Counts HTTP requests by route and status around the whole application, and logs each. What fails
in between is answered here: else the HTTP server would, with a 500 that nobody finds in the log."""

import logging
import time
from collections.abc import Awaitable

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from mesh.gateway.errors import AnyRequest, on_any_error
from mesh.gateway.metrics.meters import Meters

log = logging.getLogger(__name__)

NOWHERE = "(none)"
"""The route of what leads nowhere: paths are anybody's invention, and routes are few."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})


class Counting:
    """ASGI middleware. A request counts once its headers are sent; how long it goes on, not."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        began, answered = time.perf_counter(), False
        method = scope["method"] if scope["method"] in METHODS else "(other)"

        def send_counted(message: Message) -> Awaitable[None]:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                route = scope.get("path_template") or NOWHERE
                self._count(method, route, message["status"], time.perf_counter() - began)
            return send(message)

        try:
            await self._app(scope, receive, send_counted)
        except Exception as error:  # of what lies around the routes, which answer for theirs
            if answered:
                log.exception("%s %s broke off", method, scope.get("path_template") or NOWHERE)
                raise
            request = AnyRequest(scope, receive, send_counted)
            response = on_any_error(request, error).to_asgi_response(None, request)
            await response(scope, receive, send_counted)

    def _count(self, method: str, route: str, status: int, seconds: float) -> None:
        meters = self._meters
        meters.http.labels(method, route, str(status)).inc()
        meters.http_seconds.labels(method, route).observe(seconds)
        level = logging.INFO if status >= 500 else logging.DEBUG
        log.log(level, "%s %s: %d after %.0f ms", method, route, status, 1e3 * seconds)
