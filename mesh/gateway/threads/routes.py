"""The routes of threads as wholes."""

from litestar import Response, delete, get, post, put
from litestar.params import FromPath, FromQuery

from mesh.gateway.assistants.routes import oneself
from mesh.gateway.body import as_json, read_body
from mesh.gateway.errors import AnyRequest
from mesh.gateway.listing import ObjectList, PageLimit, listed
from mesh.gateway.once import MADE_ONCE, made_id
from mesh.gateway.runs.stopping import stop_all
from mesh.gateway.services import Wired
from mesh.gateway.threads.bodies import ThreadBody, ThreadChangeBody
from mesh.gateway.threads.shapes import ThreadIds, ThreadObject, thread_object
from mesh.protocol.threads import (
    CreateThread,
    DeleteThread,
    ListThreads,
    OpenThread,
    UpdateThread,
)

PAGE = 100


@post("/v1/threads", status_code=200, body=ThreadBody, **MADE_ONCE)
async def create_thread(request: AnyRequest, services: Wired) -> ThreadObject:
    """Begin a thread, alone or with others, empty or with messages."""
    principal = services.doorman.principal(request)
    body = await read_body(request, ThreadBody)
    query = CreateThread(
        user_id=principal.user_id,
        participants=tuple(body.participant_ids),
        messages=tuple(each.message() for each in body.messages),
        meta_data=body.notes,
        id=await made_id(services, principal, request),
    )
    return thread_object(await services.store.ask(query))


@get("/v1/threads", reply=ObjectList[ThreadObject])
async def list_threads(
    request: AnyRequest,
    services: Wired,
    limit: PageLimit = 20,
    after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """The threads that one takes part in, newest first."""
    principal = services.doorman.principal(request)
    query = ListThreads(user_id=principal.user_id, limit=limit, after=after)
    page = await services.store.ask(query)
    return as_json(listed([thread_object(each) for each in page.threads], page.more))


@get("/v1/threads/{thread_id:str}")
async def get_thread(
    request: AnyRequest, services: Wired, thread_id: FromPath[str]
) -> ThreadObject:
    """A thread that one takes part in."""
    principal = services.doorman.principal(request)
    query = OpenThread(user_id=principal.user_id, thread_id=thread_id)
    return thread_object(await services.store.ask(query))


@put("/v1/threads/{thread_id:str}", body=ThreadChangeBody)
async def update_thread(
    request: AnyRequest, services: Wired, thread_id: FromPath[str]
) -> ThreadObject:
    """Say who takes part in one's own thread, or what is noted with it."""
    principal = services.doorman.principal(request)
    body = await read_body(request, ThreadChangeBody)
    ids = body.participant_ids
    query = UpdateThread(
        user_id=principal.user_id,
        thread_id=thread_id,
        participants=None if ids is None else tuple(ids),
        meta_data=body.notes,
    )
    return thread_object(await services.store.ask(query))


@delete("/v1/threads/{thread_id:str}")
async def delete_thread(request: AnyRequest, services: Wired, thread_id: FromPath[str]) -> None:
    """Delete one's own thread with all that was said there, and stop its runs."""
    principal = services.doorman.principal(request)
    query = DeleteThread(user_id=principal.user_id, thread_id=thread_id)
    done = await services.store.ask(query)
    stop_all(services, done.runs, principal.name)


@get("/v1/users/{user_id:str}/threads")
async def user_threads(request: AnyRequest, services: Wired, user_id: FromPath[str]) -> ThreadIds:
    """The ids of all threads that one takes part in, by one's own id."""
    principal = oneself(services.doorman.principal(request), user_id)
    found: list[str] = []
    more = True
    while more:
        after = found[-1] if found else None
        query = ListThreads(user_id=principal.user_id, limit=PAGE, after=after)
        page = await services.store.ask(query)
        found += [thread.id for thread in page.threads]
        more = page.more
    return ThreadIds(found)
