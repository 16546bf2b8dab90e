"""Begins runs: what each is made of, wherever it comes from."""

from msgspec.structs import replace

from mesh.gateway.openai.asked import Asked
from mesh.gateway.services import Services
from mesh.gateway.tokens import Principal
from mesh.protocol.messages import Request
from mesh.protocol.tool_story import ToolStory
from mesh.protocol.tools import ToolRun


async def run_of(
    services: Services, principal: Principal, asked: Asked, key: str, trace: str
) -> ToolRun:
    """A run that asks this first. key: with one, the run's id follows from it.

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
    await services.requests.check_room(first.model, first.tenant, first.priority)
    return new_run(services, first, services.rid(principal, key))


async def begin(services: Services, run: ToolRun, body: str) -> ToolStory:
    """Accept a run, and see to it. body: a digest of what was asked, where there is a key.

    Raises MeshError: conflict (same id, other body), too_large, broker_unavailable.
    """
    story = await services.telling.begin(run, body)
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
