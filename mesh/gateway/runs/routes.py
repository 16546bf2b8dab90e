"""The routes of runs: begin one, look at it, say what came of its calls, stop it."""

from functools import partial
from typing import Annotated

import msgspec
from litestar import Response, get, post, put
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from mesh.bus.appender import new_secret_uid
from mesh.gateway import keys
from mesh.gateway.body import as_json, decode_body, read_body
from mesh.gateway.errors import AnyRequest, request_id
from mesh.gateway.event_stream import EventStream
from mesh.gateway.headers import REPEATABLE, RESUMABLE, idempotency_key, last_event_id
from mesh.gateway.openai.asked import bad
from mesh.gateway.openai.repeating import whole_digest
from mesh.gateway.runs import body as bodies
from mesh.gateway.runs.beginning import begin, check_posted, let_in, run_of, tried
from mesh.gateway.runs.body import ActionBody, OutputsBody, ToolOutput
from mesh.gateway.runs.events import EVENTS, follow
from mesh.gateway.runs.finding import find, shown
from mesh.gateway.runs.shapes import (
    ACTION,
    Action,
    ActionStatus,
    PendingAction,
    RunObject,
    actions,
    pending,
    run_object,
)
from mesh.gateway.runs.stopping import stop
from mesh.gateway.services import Services, Wired
from mesh.gateway.threads.bodies import PostedRunBody
from mesh.gateway.threads.runs import run_on_thread
from mesh.gateway.tokens import Principal
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.tool_story import ToolStory
from mesh.protocol.tools import ActionDone

Wait = Annotated[float, QueryParameter(name="wait", ge=0, le=60)]
StatusQuery = Annotated[ActionStatus | None, QueryParameter(name="status")]


AT_IT = ("processing", "retrying")
"""Words of those who do an action before they say what came of it: it is waited for."""


class Where(Struct):
    """On which thread a run is to be, if on any."""

    thread_id: str | None = None


@post(
    "/v1/runs",
    status_code=200,
    body=PostedRunBody,
    reply=RunObject,
    events=EVENTS,
    headers=REPEATABLE,
    leads_to=(keys.run, keys.posted),
)
async def create_run(request: AnyRequest, services: Wired) -> Response[bytes]:
    """Begin a run: it goes on by itself, and waits where a tool is called that nobody serves.

    Of messages of its own, or on a thread if the body names one.
    """
    principal = services.doorman.principal(request)
    data = await request.body()
    thread_id = decode_body(data, Where).thread_id
    key = idempotency_key(request)
    await check_posted(services, principal, key, thread_id or "")
    if thread_id is not None:
        return await run_on_thread(request, services, thread_id, keys.posted(key))
    read = partial(bodies.read, data)
    asked, later = await services.aside.read(principal.user_id, data, read)
    body, whole = (asked.digest(), await whole_digest(request)) if key else ("", "")
    async with tried(services, principal, keys.run(key)) as (run_id, known):
        if known is not None:
            story = await begin(services, known.run, body, whole)
        else:
            run = await run_of(services, principal, asked, run_id, request_id(request))
            run = msgspec.structs.replace(run, later=later)
            async with let_in(services, run):
                story = await begin(services, run, body, whole)
    return as_json(await shown(services, story))


@get("/v1/runs/{run_id:str}", reply=RunObject)
async def get_run(
    request: AnyRequest, services: Wired, run_id: FromPath[str], wait: Wait = 0.0
) -> Response[bytes]:
    """A run as it stands; with `wait`, once it has ended or waits itself, or after that long."""
    principal = services.doorman.principal(request)
    story = await find(services, principal, run_id)
    if wait and story.state == "in_progress":
        story = await services.conductor.over(story.run.id, wait) or story
    return as_json(await shown(services, story))


@get("/v1/runs/{run_id:str}/events", events=EVENTS, headers=RESUMABLE)
async def run_events(request: AnyRequest, services: Wired, run_id: FromPath[str]) -> EventStream:
    """A run as it goes, as Server-Sent Events, from its beginning up to its end.

    With `Last-Event-ID` what comes behind that event. Leaving stops nothing.
    """
    after = last_event_id(request)
    story = await find(services, services.doorman.principal(request), run_id)
    return follow(services, story, -1 if after is None else after)


@post(
    "/v1/runs/{run_id:str}/submit_tool_outputs",
    status_code=200,
    body=OutputsBody,
    reply=RunObject,
)
async def submit_tool_outputs(
    request: AnyRequest, services: Wired, run_id: FromPath[str]
) -> Response[bytes]:
    """Say what came of calls: all that is said is kept, or nothing.

    The run goes on once all that it waits for have an outcome.
    """
    principal = services.doorman.principal(request)
    body = await read_body(request, OutputsBody)
    story = await find(services, principal, run_id)
    await _settle(services, story, _outcomes(story, body.tool_outputs))
    return as_json(run_object(await find(services, principal, run_id)))


@post("/v1/runs/{run_id:str}/cancel", status_code=200, reply=RunObject)
async def cancel_run(
    request: AnyRequest, services: Wired, run_id: FromPath[str]
) -> Response[bytes]:
    """Stop a run, whatever it does now; one that is over stays as it is."""
    principal = services.doorman.principal(request)
    story = await find(services, principal, run_id)
    await stop(services, story, principal.name)
    return as_json(run_object(await find(services, principal, run_id)))


@get("/v1/runs/{run_id:str}/actions/status", reply=list[Action])
async def run_actions(
    request: AnyRequest, services: Wired, run_id: FromPath[str], status: StatusQuery = None
) -> Response[bytes]:
    """A run's actions, those of a `status` if one is named."""
    story = await find(services, services.doorman.principal(request), run_id)
    found = [action for action in actions(story) if status in (None, action.status)]
    return as_json(found)


@get("/v1/actions/pending/{run_id:str}", reply=list[PendingAction])
async def pending_actions(
    request: AnyRequest, services: Wired, run_id: FromPath[str]
) -> Response[bytes]:
    """The actions that a run waits for."""
    story = await find(services, services.doorman.principal(request), run_id)
    return as_json(pending(story))


@get("/v1/actions/{action_id:str}", reply=Action)
async def get_action(
    request: AnyRequest, services: Wired, action_id: FromPath[str]
) -> Response[bytes]:
    """One action: what was called, and what came of it."""
    _, action = await _find_action(services, services.doorman.principal(request), action_id)
    return as_json(action)


@put("/v1/actions/{action_id:str}", body=ActionBody, reply=Action)
async def put_action(
    request: AnyRequest, services: Wired, action_id: FromPath[str]
) -> Response[bytes]:
    """Say what came of one call: `completed` with its result, or `failed` with the reason.

    That it stands as it does, or that somebody is at it, may be said too, and changes nothing.
    """
    principal = services.doorman.principal(request)
    body = await read_body(request, ActionBody)
    story, action = await _find_action(services, principal, action_id)
    if body.status not in ("completed", "failed"):
        _check_stands(action, body.status)
    elif body.status != action.status or body.result is not None:
        failed = body.status == "failed"
        await _settle(services, story, [_done(action.tool_call_id, body.output, failed)])
        _, action = await _find_action(services, principal, action_id)
    return as_json(action)


async def _find_action(
    services: Services, principal: Principal, action_id: str
) -> tuple[ToolStory, Action]:
    """An action of one's own, and its run. Raises MeshError (not_found)."""
    try:
        run_id = action_id.removeprefix(ACTION)[:32]
        story = await find(services, principal, run_id)
    except MeshError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        raise _no_action(action_id) from error
    for action in actions(story):
        if action.id == action_id:
            return story, action
    raise _no_action(action_id)


def _no_action(action_id: str) -> MeshError:
    return MeshError(
        ErrorCode.NOT_FOUND, f"There is no action {action_id!r} here.", param="action_id"
    )


def _outcomes(story: ToolStory, outputs: list[ToolOutput]) -> list[ActionDone]:
    """What is said of a run's calls, of each once. Raises MeshError (bad_request)."""
    known = {call.id for step in story.steps for call in step.calls}
    outcomes: dict[str, str] = {}
    for said in outputs:
        call = said.tool_call_id
        if call not in known:
            raise bad("tool_outputs", f"This run has no call {call!r}.")
        if outcomes.setdefault(call, said.output) != said.output:
            raise bad("tool_outputs", f"The call {call!r} is there with two outcomes; say one.")
    return [_done(call, output, failed=False) for call, output in outcomes.items()]


def _done(call: str, output: str, failed: bool) -> ActionDone:
    return ActionDone(uid=new_secret_uid(), call=call, output=output, failed=failed, by="client")


def _check_stands(action: Action, said: str) -> None:
    """Raises MeshError (conflict) unless an action stands as is said of it."""
    if action.status != ("pending" if said in AT_IT else said):
        detail = (
            f"This action is {action.status}. Say what came of it, completed or failed; it is "
            "cancelled with its run (POST /v1/runs/{run_id}/cancel), and expires by itself."
        )
        raise MeshError(ErrorCode.CONFLICT, detail, param="status")


async def _settle(services: Services, story: ToolStory, outcomes: list[ActionDone]) -> None:
    """Tell what came of calls, all of it or nothing; the same again is fine.

    Raises MeshError: conflict, too_large, broker_unavailable.
    """
    now: ToolStory | None = story
    while True:
        waiting = {call.id for call in now.pending} if now is not None else set()
        for said in outcomes:
            if now is None or (said.call not in waiting and not _stands(now, said)):
                raise _too_late(now, said.call)
        left = [said for said in outcomes if said.call in waiting]
        if now is None or not left or await services.telling.settle_all(now, left):
            return
        now = await services.telling.read(story.run.id)


def _stands(story: ToolStory, said: ActionDone) -> bool:
    """Whether just this came of a call already."""
    done = story.done.get(said.call)
    return done is not None and (done.output, done.failed) == (said.output, said.failed)


def _too_late(story: ToolStory | None, call: str) -> MeshError:
    state = story.state if story is not None else "expired"
    another = story is not None and call in story.done
    detail = "it has another outcome by now" if another else f"the run is {state}"
    return MeshError(ErrorCode.CONFLICT, f"Nothing can be said of this call any more: {detail}.")
