"""`PUT /v1/runs/{id}/status`: for clients that set how a run stands. Its end can be asked for."""

from typing import Literal, cast

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

Others = Literal["cancelling", "pending", "processing", "retrying", "action_required"]

MEANT: dict[str, Status] = {
    "cancelling": "cancelled",
    "pending": "queued",
    "processing": "in_progress",
    "retrying": "in_progress",
    "action_required": "requires_action",
}
"""Words that other servers have for it."""

GOES_ON: tuple[Status, ...] = ("queued", "in_progress")
"""What is said of a run to have it go on: it does so by itself unless something is waited for."""

WENT_ON: tuple[Status, ...] = (*GOES_ON, "completed", "incomplete")


class RunStatusBody(Struct, forbid_unknown_fields=True):
    """How a run is to stand: cancelled (or cancelling), or as it does already."""

    status: Status | Others


@put("/v1/runs/{run_id:str}/status", body=RunStatusBody, reply=RunObject)
async def set_run_status(
    request: AnyRequest, services: Wired, run_id: FromPath[str]
) -> Response[bytes]:
    """Stop a run by `cancelled`; every other status follows from what happens to the run."""
    principal = services.doorman.principal(request)
    body = await read_body(request, RunStatusBody)
    story = await find(services, principal, run_id)
    wanted = cast("Status", MEANT.get(body.status, body.status))
    if wanted == "cancelled" and story.over is None:
        await stop(services, story, principal.name)
        now = run_object(await find(services, principal, run_id))
    else:
        now = await shown(services, story)
        _check(now, wanted)
    return as_json(now)


def _check(run: RunObject, wanted: Status) -> None:
    """Raises MeshError (conflict) unless a run stands so, or goes on and is told to."""
    if run.status != wanted and not (wanted in GOES_ON and run.status in WENT_ON):
        detail = (
            f"This run is {run.status}, which follows from what happened to it. Say what came of "
            "its calls (PUT /v1/actions/{action_id}), or cancel it."
        )
        raise MeshError(ErrorCode.CONFLICT, detail, param="status")
