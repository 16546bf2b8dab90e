"""Begins runs: what each is made of, wherever it comes from, and whether it is let in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec.structs import replace

from mesh.bus.appender import new_uid
from mesh.gateway import keys
from mesh.gateway.anew import next_id
from mesh.gateway.openai.asked import Asked
from mesh.gateway.services import Services
from mesh.gateway.tokens import Principal
from mesh.protocol.abilities import thoughts_of
from mesh.protocol.errors import REFUSALS
from mesh.protocol.request import Request
from mesh.protocol.tool_story import ToolStory, rid_of
from mesh.protocol.tools import RunBegun, ToolRun


async def run_of(
    services: Services, principal: Principal, asked: Asked, run_id: str, trace: str
) -> ToolRun:
    """A run that asks this first.

    Raises MeshError: model_not_found, no_worker, unsupported, broker_unavailable.
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
    return new_run(services, first, run_id)


@asynccontextmanager
async def tried(
    services: Services, principal: Principal, key: str
) -> AsyncIterator[tuple[str, ToolStory | None]]:
    """The id of a run under a key, and the run if one was begun; one that was refused was not.

    Until it is begun nobody else tries the same key here: of one that is sent twice at once the
    second finds what the first has begun. Raises MeshError (broker_unavailable).
    """
    run_id = services.rid(principal, key)
    async with services.limiter.turn(run_id):
        yield await _latest(services, run_id) if key else (run_id, None)


async def check_posted(services: Services, principal: Principal, key: str, thread_id: str) -> None:
    """Raise MeshError (conflict) where `POST /v1/runs` has done something else under a key than to
    begin a run on this thread; "": one of messages of its own."""
    if not key:
        return
    noted = await services.telling.noted(services.rid(principal, keys.posted(key)))
    if noted and noted != thread_id:
        raise keys.led_elsewhere()
    if thread_id:
        _, story = await _latest(services, services.rid(principal, keys.run(key)))
        if story is not None:
            raise keys.led_elsewhere()


@asynccontextmanager
async def let_in(services: Services, run: ToolRun) -> AsyncIterator[None]:
    """While a new run is begun: its first asking counts from now on, before anything is kept of it.

    If it is not begun after all that is given back; else its conductor asks, or gives it back.
    Raises MeshError: too_large, rate_limited, forbidden, queue_full, share_full.
    """
    digest = "0" * 64  # as long as those that it may be begun with
    services.telling.check(RunBegun(uid=new_uid(), run=run, body=digest, whole=digest))
    await services.requests.queue.check_room(run.model, run.tenant, run.priority)
    reserved = await services.limiter.reserve([_first(run)])
    try:
        yield
    except BaseException:
        services.limiter.release(reserved)
        raise


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
        traceparent=first.traceparent,
        tracestate=first.tracestate,
        priority=first.priority,
        key=first.key,
        thoughts=thoughts_of(services.models.cards().get(first.model)),
    )


def _first(run: ToolRun) -> Request:
    """The first asking of a run, as far as limits go: for as long as it may have to wait."""
    return Request(
        rid=rid_of(run.id, 0),
        reply=run.gateway,
        tenant=run.tenant,
        model=run.model,
        messages=(),
        created=run.created,
        deadline=run.deadline,
        priority=run.priority,
        key=run.key,
    )


async def _latest(services: Services, run_id: str) -> tuple[str, ToolStory | None]:
    """The run that was begun under an id and not refused, with its own; or the id to begin it."""
    while (story := await services.telling.read(run_id)) is not None and _refused(story):
        run_id = next_id(run_id)
    return run_id, story


def _refused(story: ToolStory) -> bool:
    """Whether a run failed because its model could not be asked for the first time."""
    over = story.over
    return over is not None and over.code in REFUSALS and not story.steps
