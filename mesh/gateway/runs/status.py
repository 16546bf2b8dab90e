"""`PUT /v1/runs/{id}/status`: for clients that set how a run stands. Its end can be asked for."""

from typing import Literal

from litestar import Response, put
from litestar.params import FromPath
from msgspec import Struct

from mesh.gateway.body import as_json, read_body
from mesh.gateway.errors import AnyRequest
from mesh.gateway.runs.finding import find, shown
from mesh.gateway.runs.shapes import RunObject, run_object
from mesh.gateway.runs.stopping import stop
from mesh.gateway.services import Wired
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.tool_story import Status


class RunStatusBody(Struct):
    """How a run is to stand: cancelled (or cancelling), or as it does already."""

    status: Status | Literal["cancelling"]


@put("/v1/runs/{run_id:str}/status", body=RunStatusBody, reply=RunObject)
async def set_run_status(
    request: AnyRequest, services: Wired, run_id: FromPath[str]
) -> Response[bytes]:
    """Stop a run by `cancelled`; every other status follows from what happens to the run."""
    principal = services.doorman.principal(request)
    body = await read_body(request, RunStatusBody)
    story = await find(services, principal, run_id)
    wanted = "cancelled" if body.status == "cancelling" else body.status
    if wanted == "cancelled" and story.over is None:
        await stop(services, story, principal.name)
        now = run_object(await find(services, principal, run_id))
    else:
        now = await shown(services, story)
        _check(now, wanted)
    return as_json(now)


def _check(run: RunObject, wanted: Status) -> None:
    """Raises MeshError (conflict) unless a run stands so."""
    if run.status != wanted:
        detail = (
            f"This run is {run.status}, which follows from what happened to it. Say what came of "
            "its calls (PUT /v1/actions/{action_id}), or cancel it."
        )
        raise MeshError(ErrorCode.CONFLICT, detail, param="status")
