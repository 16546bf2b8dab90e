"""The routes of OpenAI's clients that this mesh leaves out: each says so, with 501.

They lie beside routes that there are, and would else be called wrong methods of those.
"""

from typing import NoReturn

from litestar import delete, get, post
from litestar.params import FromPath

from mesh.gateway.errors import AnyRequest
from mesh.gateway.services import Wired
from mesh.protocol.errors import ErrorCode, MeshError

NOT_KEPT = (
    "Chat completions are not kept by this mesh: ask by POST /v1/responses for what shall be read "
    "again by its id."
)
NOT_COMPACTED = "Nothing is compacted by this mesh: leave out yourself what is not needed any more."
NOT_COUNTED = (
    "The tokens of an input are not counted before it is answered; POST /tokenize counts those of "
    "a text."
)
OF_WORKERS = "Models are what workers serve: whoever runs a worker takes one away by `mesh unload`."
NO_THREAD = "Make the thread first (POST /v1/threads), and then POST /v1/threads/{thread_id}/runs."


def _left_out(request: AnyRequest, services: Wired, detail: str) -> NoReturn:
    services.doorman.principal(request)
    raise MeshError(ErrorCode.NOT_IMPLEMENTED, detail)


@get("/v1/chat/completions")
async def list_completions(request: AnyRequest, services: Wired) -> None:
    """Not done here: completions are not kept. Always 501."""
    _left_out(request, services, NOT_KEPT)


@get("/v1/chat/completions/{completion_id:str}")
async def get_completion(
    request: AnyRequest, services: Wired, completion_id: FromPath[str]
) -> None:
    """Not done here: completions are not kept. Always 501."""
    _left_out(request, services, NOT_KEPT)


@post("/v1/chat/completions/{completion_id:str}", status_code=200)
async def update_completion(
    request: AnyRequest, services: Wired, completion_id: FromPath[str]
) -> None:
    """Not done here: completions are not kept. Always 501."""
    _left_out(request, services, NOT_KEPT)


@delete("/v1/chat/completions/{completion_id:str}", status_code=200)
async def delete_completion(
    request: AnyRequest, services: Wired, completion_id: FromPath[str]
) -> None:
    """Not done here: completions are not kept. Always 501."""
    _left_out(request, services, NOT_KEPT)


@get("/v1/chat/completions/{completion_id:str}/messages")
async def completion_messages(
    request: AnyRequest, services: Wired, completion_id: FromPath[str]
) -> None:
    """Not done here: completions are not kept. Always 501."""
    _left_out(request, services, NOT_KEPT)


@post("/v1/responses/compact", status_code=200)
async def compact_response(request: AnyRequest, services: Wired) -> None:
    """Not done here: nothing is compacted. Always 501."""
    _left_out(request, services, NOT_COMPACTED)


@post("/v1/responses/input_tokens", status_code=200)
async def count_input_tokens(request: AnyRequest, services: Wired) -> None:
    """Not done here: an input is counted when it is answered. Always 501."""
    _left_out(request, services, NOT_COUNTED)


@delete("/v1/models/{model:path}", status_code=200)
async def delete_model(request: AnyRequest, services: Wired, model: FromPath[str]) -> None:
    """Not done here: models are those of workers. Always 501."""
    _left_out(request, services, OF_WORKERS)


@post("/v1/threads/runs", status_code=200)
async def create_thread_and_run(request: AnyRequest, services: Wired) -> None:
    """Not done here: a thread is made by itself. Always 501."""
    _left_out(request, services, NO_THREAD)
