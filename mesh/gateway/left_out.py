"""The routes of servers of this family that this mesh leaves out: each says so, with 501.

Why each is left out is in docs/adr. What has no route there has none here.
"""

from typing import NoReturn

from litestar import delete, get, post
from litestar.params import FromPath

from mesh.gateway.errors import AnyRequest
from mesh.gateway.services import Wired
from mesh.protocol.errors import ErrorCode, MeshError

PLUGINS = (
    "This mesh runs no plugins: give the model tools instead, which run in a process of yours "
    "(docs/tools.md)."
)
FILES = (
    "This mesh keeps no files: put what a model should read into the messages, or let a tool of "
    "yours read it (docs/tools.md)."
)
VECTORS = (
    "This mesh has no vector stores: let a tool of yours search your documents (docs/tools.md)."
)
CONTAINERS = (
    "This mesh runs no code that models write: a tool of yours may, where you want that "
    "(docs/tools.md)."
)
ACTIONS = (
    "Actions are the calls that a model made, and part of their run's story: PUT "
    "/v1/actions/{action_id} says what came of one, failed if nothing shall."
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


@get("/v1/files")
async def list_files(request: AnyRequest, services: Wired) -> None:
    """Not done here: there are no files. Always 501."""
    services.doorman.principal(request)
    _left_out(FILES)


@post("/v1/files", status_code=200)
async def upload_file(request: AnyRequest, services: Wired) -> None:
    """Not done here: there are no files. Always 501."""
    services.doorman.principal(request)
    _left_out(FILES)


@get("/v1/vector_stores")
async def list_vector_stores(request: AnyRequest, services: Wired) -> None:
    """Not done here: there are no vector stores. Always 501."""
    services.doorman.principal(request)
    _left_out(VECTORS)


@post("/v1/vector_stores", status_code=200)
async def create_vector_store(request: AnyRequest, services: Wired) -> None:
    """Not done here: there are no vector stores. Always 501."""
    services.doorman.principal(request)
    _left_out(VECTORS)


@post("/v1/actions", status_code=200)
async def create_action(request: AnyRequest, services: Wired) -> None:
    """Not done here: models make actions, by calling tools. Always 501."""
    services.doorman.principal(request)
    _left_out(ACTIONS)


@delete("/v1/actions/{action_id:str}", status_code=200)
async def delete_action(request: AnyRequest, services: Wired, action_id: FromPath[str]) -> None:
    """Not done here: an action stays in its run's story. Always 501."""
    services.doorman.principal(request)
    _left_out(ACTIONS)


@get("/v1/containers")
async def list_containers(request: AnyRequest, services: Wired) -> None:
    """Not done here: there is no code interpreter. Always 501."""
    services.doorman.principal(request)
    _left_out(CONTAINERS)


@post("/v1/containers", status_code=200)
async def create_container(request: AnyRequest, services: Wired) -> None:
    """Not done here: there is no code interpreter. Always 501."""
    services.doorman.principal(request)
    _left_out(CONTAINERS)
