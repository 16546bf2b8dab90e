"""The routes of chat servers of this family that this mesh leaves out: each says so, with 501.

Why each is left out is in docs/adr. What is worker's business there, and no route, is not here.
"""

from typing import NoReturn

from litestar import get, post

from mesh.gateway.errors import AnyRequest
from mesh.gateway.services import Wired
from mesh.protocol.errors import ErrorCode, MeshError

PLUGINS = (
    "This mesh runs no plugins: give the model tools instead, which run in a process of yours "
    "(docs/tools.md)."
)
SAFETY = "This mesh has no safety service: nothing that is said here is rated or rewritten."


def _left_out(detail: str) -> NoReturn:
    raise MeshError(ErrorCode.NOT_IMPLEMENTED, detail)


@get("/configs/builtin_plugins")
async def builtin_plugins(request: AnyRequest, services: Wired) -> None:
    """Not done here: there are no plugins. Always 501."""
    services.doorman.principal(request)
    _left_out(PLUGINS)


@post("/configs/plugin_config", status_code=200)
async def plugin_config(request: AnyRequest, services: Wired) -> None:
    """Not done here: there are no plugins. Always 501."""
    services.doorman.principal(request)
    _left_out(PLUGINS)


@post("/safety", status_code=200)
async def safety(request: AnyRequest, services: Wired) -> None:
    """Not done here: there is no safety service. Always 501."""
    services.doorman.principal(request)
    _left_out(SAFETY)
