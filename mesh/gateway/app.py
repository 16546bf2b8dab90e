"""Runs one gateway process: broker, parts (`wiring.py`), HTTP server; stops in good order."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import chain

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server
from litestar import Litestar, Response
from litestar.di import Provide
from litestar.types import ASGIApp

from mesh.bus.connection import Bus
from mesh.bus.stopping import first, unless
from mesh.gateway.door import Door
from mesh.gateway.elsewhere import check_elsewhere
from mesh.gateway.errors import HANDLERS, AnyRequest, allowed
from mesh.gateway.head import Head
from mesh.gateway.limits.telling import tell
from mesh.gateway.metrics.counting import Counting
from mesh.gateway.once import check_repeatable
from mesh.gateway.queries import check_query
from mesh.gateway.routes import ROUTES
from mesh.gateway.services import Services
from mesh.gateway.wiring import wire
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import GatewaySettings

log = logging.getLogger(__name__)

LEAVE = 3.0
"""Seconds that the HTTP server may take to stop."""

PRIVATE = "Listening on %s port %d, for this machine only: guests need no account"
PUBLIC = "Listening on %s port %d, for the network: nobody gets in without an account"


async def run(settings: GatewaySettings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Raises MeshError when it cannot begin, or cannot go on."""
    services = await unless(stop, _begin(settings))
    if services is None:
        return
    try:
        await _serve(services, stop)
    finally:
        await services.streams.settle()
        await services.requests.close()
        await services.accounts.report()
        await services.bus.close()


async def _begin(settings: GatewaySettings) -> Services:
    if settings.request_timeout >= settings.run_max_age:
        raise MeshError(
            ErrorCode.BAD_REQUEST,
            f"The log is kept for {settings.run_max_age:g} s (MESH_RUN_MAX_AGE), but a request may "
            f"take {settings.request_timeout:g} s (MESH_REQUEST_TIMEOUT): keep the log for longer.",
        )
    bus = await Bus.connect(
        settings.servers,
        "gateway",
        settings.gateway_password,
        settings.gateway_name,
        settings.nats_ca,
    )
    try:
        return await wire(settings, bus)
    except BaseException:
        await asyncio.shield(bus.close())
        raise


async def _serve(services: Services, stop: asyncio.Event) -> None:
    settings = services.settings
    server = Server(
        create_app(services),
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(keep_alive=True),
        websockets=False,
        backlog=2048,
        log_level=LogLevels.error,
    )
    serving = asyncio.create_task(server.serve())
    log.info(PRIVATE if settings.private else PUBLIC, settings.host, settings.port)
    served, namesake = asyncio.Event(), services.living.namesake
    serving.add_done_callback(lambda _: served.set())
    lasting = services.requests.lasting
    try:
        await first(stop, served, services.bus.closed, namesake, lasting.failed)
        lasting.check()
        if namesake.is_set():
            raise _doubled(settings)
        if served.is_set() or services.bus.closed.is_set():
            raise _failure(settings, serving)
    finally:
        services.lookout.close()
        await services.streams.close()
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait([serving], timeout=LEAVE)
        serving.cancel()


def _failure(settings: GatewaySettings, serving: asyncio.Task[None]) -> MeshError:
    """Why the gateway cannot go on: its HTTP server failed, or the broker turned it away."""
    failure = serving.exception() if serving.done() else None
    if failure is None:
        detail = "The broker ended the connection for good."
        return MeshError(ErrorCode.BROKER_UNAVAILABLE, detail)
    reason = str(failure).partition("\n")[0]
    return MeshError(
        ErrorCode.CONFLICT,
        f"The gateway cannot listen on {settings.host} port {settings.port}: {reason}. "
        "Set MESH_PORT to a free port.",
    )


def _doubled(settings: GatewaySettings) -> MeshError:
    return MeshError(
        ErrorCode.CONFLICT,
        f"Another gateway of this mesh is called {settings.gateway_name} and lives: give this one "
        "a name of its own with --gateway-name or MESH_GATEWAY_NAME.",
    )


def create_app(services: Services) -> ASGIApp:
    """The ASGI application over running services."""
    max_body = services.settings.max_body
    routes = Litestar(
        ROUTES,
        dependencies={"services": Provide(lambda: services, sync_to_thread=False, use_cache=True)},
        before_request=_admission(services),
        exception_handlers=HANDLERS,
        request_max_body_size=max_body,
        openapi_config=None,
        logging_config=None,
    )
    counted = Counting(Door(Head(routes), services.rules, max_body), services.meters)
    return services.traces.around(counted)


def _admission(services: Services) -> Callable[[AnyRequest], Awaitable[Response[bytes] | None]]:
    """What every request goes through before its handler."""

    async def admit(request: AnyRequest) -> Response[bytes] | None:
        await services.trusted.identify(request)
        services.doorman.admit(request)
        tell(services.limiter, request)
        check_query(request)
        check_repeatable(request)
        await check_elsewhere(services, request)
        return _methods(request) if request.method == "OPTIONS" else None

    return admit


def _methods(request: AnyRequest) -> Response[bytes]:
    """Which methods a path takes (RFC 9110, section 9.3.7). The framework's own answer to OPTIONS
    leaves out those of a path's second handler."""
    path = request.scope["path_template"]
    takes = [route.methods for route in request.app.routes if route.path_format == path]
    return Response(b"", status_code=204, headers={"Allow": allowed(chain.from_iterable(takes))})
