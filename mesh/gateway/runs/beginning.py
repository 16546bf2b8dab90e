"""Begins runs: what each is made of, wherever it comes from."""

from msgspec.structs import replace

from mesh.gateway.anew import next_id
from mesh.gateway.openai.asked import Asked
from mesh.gateway.services import Services
from mesh.gateway.tokens import Principal
from mesh.protocol.errors import REFUSALS
from mesh.protocol.messages import Request
from mesh.protocol.tool_story import ToolStory
from mesh.protocol.tools import ToolRun


async def run_of(
    services: Services, principal: Principal, asked: Asked, run_id: str, trace: str
) -> ToolRun:
    """A run that asks this first.

    Raises MeshError: model_not_found, no_worker, unsupported, queue_full, share_full, rate_limited.
    """
    first = services.new_request(
        principal,
        await services.model(principal, asked.model, ""),
        asked.prompts[0],
        asked.sampling,
        asked.max_tokens,
        trace=trace,
    )
    first = replace(first, tools=asked.tools, grammar=asked.grammar)
    services.check_able(first)
    await services.limiter.check(first)
    await services.requests.queue.check_room(first.model, first.tenant, first.priority)
    return new_run(services, first, run_id)


async def tried(services: Services, principal: Principal, key: str) -> tuple[str, ToolStory | None]:
    """The id of a run under a key, and the run if one was begun; one that was refused was not.

    Raises MeshError (broker_unavailable).
    """
    run_id = services.rid(principal, key)
    story: ToolStory | None = None
    while key and (story := await services.telling.read(run_id)) is not None:
        if not _refused(story):
            break
        run_id = next_id(run_id)
    return run_id, story


async def begin(services: Services, run: ToolRun, body: str, whole: str = "") -> ToolStory:
    """Accept a run, and see to it. body, whole: digests of what was asked, where there is a key.

    Raises MeshError: conflict (same id, other body), too_large, broker_unavailable.
    """
    story = await services.telling.begin(run, body, whole)
    services.conductor.tend(run.id)
    return story


def new_run(services: Services, first: Request, run_id: str) -> ToolRun:
    """A run that begins with this request."""
    settings, now = services.settings, services.clock()
    longest = min(settings.run_timeout, 0.9 * settings.run_max_age)  # the log must not forget it
    return ToolRun(
        id=run_id,
        gateway=settings.gateway_name,
        tenant=first.tenant,
        model=first.model,
        messages=first.messages,
        tools=first.tools,
        sampling=first.sampling,
        max_tokens=first.max_tokens,
        grammar=first.grammar,
        created=now,
        patience=settings.action_timeout,
        deadline=now + longest,
        trace=first.trace,
        priority=first.priority,
        key=first.key,
    )


def _refused(story: ToolStory) -> bool:
    """Whether a run failed because its model could not be asked for the first time."""
    over = story.over
    return over is not None and over.code in REFUSALS and not story.steps
