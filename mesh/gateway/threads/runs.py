"""The routes of runs on a thread: let an assistant say what comes next, and list what it did."""

from functools import partial

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from msgspec import Struct
from msgspec.structs import replace

from mesh.gateway import keys
from mesh.gateway.body import as_json
from mesh.gateway.errors import AnyRequest, request_id
from mesh.gateway.headers import REPEATABLE, body_digest, idempotency_key
from mesh.gateway.listing import ObjectList, PageLimit, listed
from mesh.gateway.openai.asked import bad
from mesh.gateway.runs.beginning import begin, let_in, run_of, tried
from mesh.gateway.runs.events import EVENTS, follow
from mesh.gateway.runs.finding import shown
from mesh.gateway.runs.shapes import RUN, RunObject
from mesh.gateway.services import Services, Wired
from mesh.gateway.threads import filled_in
from mesh.gateway.threads.bodies import ThreadRunBody, decode_run, read_run, schemas
from mesh.gateway.threads.shapes import ThreadRunObject, thread_run_object
from mesh.gateway.tokens import Principal
from mesh.protocol.threads import AddThreadMessage, ListThreadRuns, NewMessage, PlanThread
from mesh.protocol.tool_story import ToolStory


class Sent(Struct, frozen=True):
    """A request for a run. key, digest: of its idempotency key, and of all that was sent with it;
    posted: of the same key, where the thread is to be noted. All "" where there is none; until:
    by when the run is to be over, in Unix seconds, at the latest."""

    data: bytes
    body: ThreadRunBody
    key: str
    digest: str
    posted: str
    trace: str
    until: float | None


@post(
    "/v1/threads/{thread_id:str}/runs",
    status_code=200,
    body=ThreadRunBody,
    reply=RunObject,
    events=EVENTS,
    headers=REPEATABLE,
    leads_to=(keys.thread_run, keys.posted),
)
async def create_thread_run(
    request: AnyRequest, services: Wired, thread_id: FromPath[str]
) -> Response[bytes]:
    """Let an assistant answer a thread. With `stream` the run is told as Server-Sent Events.

    It goes on by itself, and what it says is added to the thread.
    """
    return await run_on_thread(request, services, thread_id)


@get("/v1/threads/{thread_id:str}/runs", reply=ObjectList[ThreadRunObject])
async def list_thread_runs(
    request: AnyRequest,
    services: Wired,
    thread_id: FromPath[str],
    limit: PageLimit = 20,
    after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """The runs on a thread, newest first, whoever began them."""
    user = services.doorman.principal(request).user_id
    last = None if after is None else after.removeprefix(RUN)
    query = ListThreadRuns(user_id=user, thread_id=thread_id, limit=limit, after=last)
    page = await services.store.ask(query)
    return as_json(listed([thread_run_object(each) for each in page.runs], page.more))


async def run_on_thread(
    request: AnyRequest, services: Services, thread_id: str, posted: str | None = None
) -> Response[bytes]:
    """Begin what a request asks for on a thread; answer with it, or tell it. Raises MeshError.

    posted: where to note the thread, for the route that is not the thread's own, and takes whole
    runs as well.
    """
    principal = services.doorman.principal(request)
    data, until = await request.body(), None
    if posted is not None:
        data, until = filled_in.plain(data)
    body = decode_run(data)
    if body.thread_id not in (None, thread_id):
        raise bad("thread_id", "The body names another thread than the path; leave it out there.")
    key = idempotency_key(request)
    sent = Sent(
        data=data,
        body=body,
        key=keys.thread_run(key, thread_id),
        digest=await body_digest(request) if key else "",
        posted=posted or "",
        trace=request_id(request),
        until=until,
    )
    async with tried(services, principal, sent.key) as (run_id, known):
        if known is not None:
            story = await begin(services, known.run, sent.digest)
        else:
            story = await _new(services, principal, thread_id, run_id, sent)
    if body.stream:
        return follow(services, story, -1)
    return as_json(await shown(services, story))


async def _new(
    services: Services, principal: Principal, thread_id: str, run_id: str, sent: Sent
) -> ToolStory:
    """Begin a run; what is to be added to the thread is added once nothing speaks against it."""
    if sent.until is not None and sent.until <= services.clock():
        raise bad("expires_at", "This run would be over before it begins; name a later time.")
    user, body = principal.user_id, sent.body
    more = _added(services, principal, sent)
    query = PlanThread(
        user_id=user,
        thread_id=thread_id,
        assistant_id=body.assistant_id,
        without=tuple(each.uid for each in more),  # by an earlier try that came no further
    )
    plan = await services.store.ask(query)
    read = partial(read_run, sent.data, body, plan)
    kept = msgspec.json.encode(schemas(plan))
    asked, later = await services.aside.read(user, sent.data, read, kept)
    run = await run_of(services, principal, asked, run_id, sent.trace)
    run = replace(run, later=later, thread=thread_id, assistant=body.assistant_id, fit="truncate")
    if sent.until is not None:
        run = replace(run, deadline=min(run.deadline, sent.until))
    async with let_in(services, run):
        if sent.posted:
            await services.telling.note(services.rid(principal, sent.posted), thread_id)
        if more:
            await services.store.ask(
                AddThreadMessage(user_id=user, thread_id=thread_id, message=more[0], more=more[1:])
            )
        return await begin(services, run, sent.digest)


def _added(services: Services, principal: Principal, sent: Sent) -> tuple[NewMessage, ...]:
    """What is to be added to the thread; under a key once, however often it is sent."""
    return tuple(
        replace(each.message(), uid=services.rid(principal, keys.nth(sent.key, at)))
        for at, each in enumerate(sent.body.additional_messages or [])
    )
