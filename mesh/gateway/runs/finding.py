"""Finds runs, for those whose they are, and says how they stand."""

from mesh.gateway.runs.shapes import RUN, RunObject, run_object
from mesh.gateway.services import Services
from mesh.gateway.tokens import Principal
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.tool_story import ToolStory


async def find(services: Services, principal: Principal, run_id: str) -> ToolStory:
    """A run of one's own. Raises MeshError (not_found)."""
    plain = run_id.removeprefix(RUN)
    found = await services.telling.read(plain) if plain.isascii() and plain.isalnum() else None
    if found is None or found.run.tenant != principal.user_id:
        detail = f"There is no run {run_id!r} here, or no longer."
        raise MeshError(ErrorCode.NOT_FOUND, detail, param="run_id")
    return found


async def shown(services: Services, story: ToolStory) -> RunObject:
    """A run as it stands: queued as long as no worker has taken it up.

    Raises MeshError (broker_unavailable).
    """
    if story.state != "in_progress" or story.steps:
        return run_object(story)
    asked = await services.requests.logs.look(story.rid)
    return run_object(story, queued=asked is None or not (asked.n or asked.end))
