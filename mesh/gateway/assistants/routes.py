"""The routes of assistants: keep one, change it, share it."""

from litestar import Response, delete, get, post, put
from litestar.params import FromPath, FromQuery

from mesh.gateway.assistants.bodies import AssistantBody
from mesh.gateway.assistants.shapes import AssistantObject, assistant_object
from mesh.gateway.body import as_json, read_body
from mesh.gateway.errors import AnyRequest
from mesh.gateway.listing import ObjectList, PageLimit, listed
from mesh.gateway.once import MADE_ONCE, made_id
from mesh.gateway.services import Services, Wired
from mesh.gateway.tokens import Principal
from mesh.protocol.assistants import (
    AssistantChanges,
    AssistantFields,
    CreateAssistant,
    DeleteAssistant,
    GetAssistant,
    ListAssistants,
    ShareAssistant,
    UpdateAssistant,
)
from mesh.protocol.errors import ErrorCode, MeshError


@post("/v1/assistants", status_code=200, body=AssistantBody, **MADE_ONCE)
async def create_assistant(request: AnyRequest, services: Wired) -> AssistantObject:
    """Keep an assistant: a model, instructions, tools, and how to choose tokens."""
    principal = services.doorman.principal(request)
    changes = await _changes(request, services, principal)
    id = await made_id(services, principal, request)
    query = CreateAssistant(user_id=principal.user_id, fields=changes.of(AssistantFields()), id=id)
    return assistant_object(await services.store.ask(query))


@get("/v1/assistants", reply=ObjectList[AssistantObject])
async def list_assistants(
    request: AnyRequest,
    services: Wired,
    limit: PageLimit = 20,
    after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """The assistants that one may use, one's own and those that are shared with oneself."""
    return await _page(services, services.doorman.principal(request), limit, after)


@get("/v1/assistants/{assistant_id:str}")
async def get_assistant(
    request: AnyRequest, services: Wired, assistant_id: FromPath[str]
) -> AssistantObject:
    """One assistant."""
    principal = services.doorman.principal(request)
    query = GetAssistant(user_id=principal.user_id, assistant_id=assistant_id)
    return assistant_object(await services.store.ask(query))


@put("/v1/assistants/{assistant_id:str}", body=AssistantBody)
async def update_assistant(
    request: AnyRequest, services: Wired, assistant_id: FromPath[str]
) -> AssistantObject:
    """Change what is said of one's own assistant. Runs that have begun stay as they are."""
    principal = services.doorman.principal(request)
    changes = await _changes(request, services, principal)
    query = UpdateAssistant(user_id=principal.user_id, assistant_id=assistant_id, changes=changes)
    return assistant_object(await services.store.ask(query))


@delete("/v1/assistants/{assistant_id:str}")
async def delete_assistant(
    request: AnyRequest, services: Wired, assistant_id: FromPath[str]
) -> None:
    """Delete one's own assistant; what it has said stays."""
    principal = services.doorman.principal(request)
    query = DeleteAssistant(user_id=principal.user_id, assistant_id=assistant_id)
    await services.store.ask(query)


@get("/v1/users/{user_id:str}/assistants", reply=ObjectList[AssistantObject])
async def user_assistants(
    request: AnyRequest,
    services: Wired,
    user_id: FromPath[str],
    limit: PageLimit = 20,
    after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """As `GET /v1/assistants`, by one's own id."""
    principal = oneself(services.doorman.principal(request), user_id)
    return await _page(services, principal, limit, after)


@post("/v1/users/{user_id:str}/assistants/{assistant_id:str}", status_code=204)
async def share_assistant(
    request: AnyRequest, services: Wired, user_id: FromPath[str], assistant_id: FromPath[str]
) -> None:
    """Share one's own assistant with somebody, who may then use it."""
    await _share(services, services.doorman.principal(request), user_id, assistant_id, True)


@delete("/v1/users/{user_id:str}/assistants/{assistant_id:str}")
async def unshare_assistant(
    request: AnyRequest, services: Wired, user_id: FromPath[str], assistant_id: FromPath[str]
) -> None:
    """Share it no longer; or give up one that is shared with oneself."""
    await _share(services, services.doorman.principal(request), user_id, assistant_id, False)


def oneself(principal: Principal, user_id: str) -> Principal:
    """The same. Raises MeshError (not_found) if the id is somebody else's, or nobody's."""
    if principal.user_id != user_id:
        raise MeshError(ErrorCode.NOT_FOUND, "There is no such user.", param="user_id")
    return principal


async def _changes(
    request: AnyRequest, services: Services, principal: Principal
) -> AssistantChanges:
    """Raises MeshError (bad_request, unsupported), naming the parameter at fault."""
    body = await read_body(request, AssistantBody)
    return await services.aside.read(principal.user_id, await request.body(), body.changes)


async def _share(
    services: Services, principal: Principal, user: str, assistant: str, shared: bool
) -> None:
    query = ShareAssistant(
        user_id=principal.user_id, assistant_id=assistant, shared_with=user, shared=shared
    )
    await services.store.ask(query)


async def _page(
    services: Services, principal: Principal, limit: int, after: str | None
) -> Response[bytes]:
    query = ListAssistants(user_id=principal.user_id, limit=limit, after=after)
    page = await services.store.ask(query)
    return as_json(listed([assistant_object(each) for each in page.assistants], page.more))
