"""The routes of a thread's messages."""

from typing import Annotated

from litestar import Response, delete, get, post
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec.structs import replace

from mesh.gateway import keys
from mesh.gateway.body import as_json, read_body
from mesh.gateway.errors import AnyRequest
from mesh.gateway.headers import idempotency_key
from mesh.gateway.listing import ObjectList, PageLimit, listed
from mesh.gateway.once import MADE_ONCE
from mesh.gateway.services import Services, Wired
from mesh.gateway.threads.bodies import (
    MessageBody,
    PostedMessageBody,
    instructed,
    own_instructions,
)
from mesh.gateway.threads.shapes import (
    FormattedMessage,
    MessageDeleted,
    MessageObject,
    formatted,
    message_object,
)
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.threads import (
    AddThreadMessage,
    DeleteThreadMessage,
    GetThreadMessage,
    ListThreadMessages,
    NewMessage,
    Order,
    PlanThread,
    Role,
)

CHUNKS = (
    "A message is added whole: send all of it at its end, with is_last_chunk true. What runs say "
    "is added piece by piece by themselves (POST /v1/threads/{thread_id}/runs)."
)

Sorted = Annotated[Order, QueryParameter(name="order")]


@post("/v1/threads/{thread_id:str}/messages", status_code=200, body=MessageBody, **MADE_ONCE)
async def add_message(
    request: AnyRequest, services: Wired, thread_id: FromPath[str]
) -> MessageObject:
    """Write in a thread. Nobody answers until a run is begun."""
    body = await read_body(request, MessageBody)
    return await _add(request, services, thread_id, body.message())


@post("/v1/messages", status_code=200, body=PostedMessageBody, **MADE_ONCE)
async def post_message(request: AnyRequest, services: Wired) -> MessageObject:
    """The same, with the thread's id in the body."""
    return await _post(request, services)


@post("/v1/messages/tools", status_code=200, body=PostedMessageBody, **MADE_ONCE)
async def post_outcome(request: AnyRequest, services: Wired) -> MessageObject:
    """The same for what came of a tool's call, whatever role is said."""
    return await _post(request, services, "tool")


@post("/v1/messages/assistant", status_code=200, body=PostedMessageBody, **MADE_ONCE)
async def post_said(request: AnyRequest, services: Wired) -> MessageObject:
    """The same for what an assistant has said elsewhere, whatever role is said.

    As one message: pieces of one (`is_last_chunk` false) are 501.
    """
    return await _post(request, services, "assistant")


@get("/v1/messages/{message_id:str}")
async def get_thread_message(
    request: AnyRequest, services: Wired, message_id: FromPath[str]
) -> MessageObject:
    """A message of a thread that one takes part in."""
    user = services.doorman.principal(request).user_id
    query = GetThreadMessage(user_id=user, message_id=message_id)
    return message_object(await services.store.ask(query))


@get("/v1/threads/{thread_id:str}/messages", reply=ObjectList[MessageObject])
async def list_messages(
    request: AnyRequest,
    services: Wired,
    thread_id: FromPath[str],
    limit: PageLimit = 20,
    order: Sorted = "asc",
    after: FromQuery[str | None] = None,
    before: FromQuery[str | None] = None,
) -> Response[bytes]:
    """A thread's messages, oldest first, or newest first with `order=desc`."""
    user = services.doorman.principal(request).user_id
    query = ListThreadMessages(
        user_id=user, thread_id=thread_id, limit=limit, order=order, after=after, before=before
    )
    page = await services.store.ask(query)
    return as_json(listed([message_object(each) for each in page.messages], page.more))


@delete("/v1/threads/{thread_id:str}/messages/{message_id:str}", status_code=200)
async def delete_message(
    request: AnyRequest, services: Wired, thread_id: FromPath[str], message_id: FromPath[str]
) -> MessageDeleted:
    """Delete what one wrote, or had written by a run; in one's own thread, anything."""
    user = services.doorman.principal(request).user_id
    query = DeleteThreadMessage(user_id=user, thread_id=thread_id, message_id=message_id)
    await services.store.ask(query)
    return MessageDeleted(message_id)


@get("/v1/threads/{thread_id:str}/formatted_messages", reply=list[FormattedMessage])
async def formatted_messages(
    request: AnyRequest,
    services: Wired,
    thread_id: FromPath[str],
    assistant_id: FromQuery[str] = "",
) -> Response[bytes]:
    """A thread as models are shown it, with the instructions of an assistant if one is named."""
    user = services.doorman.principal(request).user_id
    query = PlanThread(user_id=user, thread_id=thread_id, assistant_id=assistant_id)
    plan = await services.store.ask(query)
    messages = instructed(plan, own_instructions(plan))
    return as_json([formatted(message) for message in messages])


async def _post(request: AnyRequest, services: Services, role: Role | None = None) -> MessageObject:
    """Write in the thread that the body names; role: whatever is said, that of the route."""
    body = await read_body(request, PostedMessageBody)
    said = body.message()
    body.sent_by(services.doorman.principal(request).user_id)
    if role == "assistant" and body.is_last_chunk is False:
        raise MeshError(ErrorCode.NOT_IMPLEMENTED, CHUNKS, param="is_last_chunk")
    if role is not None:
        said = replace(said, role=role)
    return await _add(request, services, body.thread_id, said)


async def _add(
    request: AnyRequest, services: Services, thread_id: str, said: NewMessage
) -> MessageObject:
    """Under a key once: the message's id follows from the key."""
    principal, key = services.doorman.principal(request), idempotency_key(request)
    if key:
        said = replace(said, uid=services.rid(principal, keys.thread_message(key)))
    query = AddThreadMessage(user_id=principal.user_id, thread_id=thread_id, message=said)
    return message_object(await services.store.ask(query))
