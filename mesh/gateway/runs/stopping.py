"""Stops runs, whatever they do now."""

from collections.abc import Iterable

from mesh.bus.appender import Fenced, new_secret_uid
from mesh.gateway.services import Services
from mesh.protocol.tool_story import ToolStory, rid_of
from mesh.protocol.tools import RunOver

STOPPING = 10.0
"""Seconds to wait for the end of a run that was cancelled before saying how it stands."""


def stop_all(services: Services, run_ids: Iterable[str], by: str) -> None:
    """Stop runs that nobody waits for, in the background."""
    for run_id in run_ids:
        services.requests.background(_stop(services, run_id, by))


async def _stop(services: Services, run_id: str, by: str) -> None:
    await stop(services, await services.telling.read(run_id), by)


async def stop(services: Services, story: ToolStory | None, by: str) -> None:
    """Stop a run, and wait for its end; what it has said by then is kept.

    Raises MeshError (broker_unavailable).
    """
    while story is not None and story.over is None:
        if await _cancel(services, story, by):
            return
        story = await services.telling.read(story.run.id)


async def _cancel(services: Services, story: ToolStory, by: str) -> bool:
    """Cancel a run as it stands; false if it has moved on meanwhile."""
    run_id = story.run.id
    track = None
    if not story.pending:
        track = await services.requests.logs.find(rid_of(run_id, len(story.steps)))
    if track is None:
        try:
            over = RunOver(uid=new_secret_uid(), state="cancelled")
            await services.telling.append(run_id, over, story.last)
        except Fenced:
            return False
        return True
    await services.requests.endings.cancel(track, by)
    services.conductor.tend(run_id)  # should its own gateway be gone
    found = await services.conductor.over(run_id, STOPPING)
    return found is None or found.over is not None or found.state == "in_progress"
