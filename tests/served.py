"""The gateway's routes as an app with nothing behind them, for tests of what it declares."""

from litestar import Litestar
from litestar.di import Provide
from litestar.routes import HTTPRoute

from mesh.gateway.routes import ROUTES


def bare_app() -> Litestar:
    """All routes; nobody can ask there."""
    services = Provide(lambda: None, sync_to_thread=False)
    return Litestar(ROUTES, dependencies={"services": services}, openapi_config=None)


def served() -> list[str]:
    """`METHOD /path` of every route, but for the OPTIONS that the framework adds."""
    return [
        f"{method} {route.path_format}"
        for route in bare_app().routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.handler_name != "options_handler"
        for method in handler.http_methods
    ]
