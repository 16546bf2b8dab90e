"""The routes of tools as objects, and of giving them to assistants."""

from litestar import Response, delete, get, post, put
from litestar.params import FromPath, FromQuery

from mesh.gateway.assistants.bodies import ToolKeptBody
from mesh.gateway.assistants.shapes import ToolObject, tool_object
from mesh.gateway.body import as_json, read_body
from mesh.gateway.errors import AnyRequest
from mesh.gateway.listing import ObjectList, PageLimit, listed
from mesh.gateway.services import Services, Wired
from mesh.gateway.tokens import Principal
from mesh.protocol.assistants import (
    CreateTool,
    DeleteTool,
    GetTool,
    GiveTool,
    ListTools,
    UpdateTool,
)
from mesh.protocol.request import Tool


@post(
    "/v1/tools",
    status_code=200,
    body=ToolKeptBody,
    unrepeatable="Of one name there is one tool, so that it is made once without a key.",
)
async def create_tool(request: AnyRequest, services: Wired) -> ToolObject:
    """Keep the description of a tool, under a name of which one has no other."""
    principal = services.doorman.principal(request)
    tool = await _tool(request, services, principal)
    return tool_object(await services.store.ask(CreateTool(user_id=principal.user_id, tool=tool)))


@get("/v1/tools", reply=ObjectList[ToolObject])
async def list_tools(
    request: AnyRequest,
    services: Wired,
    limit: PageLimit = 20,
    after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """One's own tools, oldest first."""
    principal = services.doorman.principal(request)
    return await _page(services, ListTools(user_id=principal.user_id, limit=limit, after=after))


@get("/v1/tools/{tool_id:str}")
async def get_tool(request: AnyRequest, services: Wired, tool_id: FromPath[str]) -> ToolObject:
    """One of one's own tools."""
    principal = services.doorman.principal(request)
    query = GetTool(user_id=principal.user_id, tool_id=tool_id)
    return tool_object(await services.store.ask(query))


@get("/v1/tools/name/{name:str}")
async def get_tool_by_name(request: AnyRequest, services: Wired, name: FromPath[str]) -> ToolObject:
    """One of one's own tools, by its name."""
    principal = services.doorman.principal(request)
    return tool_object(await services.store.ask(GetTool(user_id=principal.user_id, name=name)))


@put("/v1/tools/{tool_id:str}", body=ToolKeptBody)
async def update_tool(request: AnyRequest, services: Wired, tool_id: FromPath[str]) -> ToolObject:
    """Describe one of one's own tools anew, for all assistants that it was given."""
    principal = services.doorman.principal(request)
    tool = await _tool(request, services, principal)
    query = UpdateTool(user_id=principal.user_id, tool_id=tool_id, tool=tool)
    return tool_object(await services.store.ask(query))


@delete("/v1/tools/{tool_id:str}")
async def delete_tool(request: AnyRequest, services: Wired, tool_id: FromPath[str]) -> None:
    """Delete one of one's own tools; assistants that it was given lose it."""
    principal = services.doorman.principal(request)
    await services.store.ask(DeleteTool(user_id=principal.user_id, tool_id=tool_id))


@get("/v1/assistants/{assistant_id:str}/tools", reply=ObjectList[ToolObject])
async def assistant_tools(
    request: AnyRequest,
    services: Wired,
    assistant_id: FromPath[str],
    limit: PageLimit = 20,
    after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """The tools that an assistant was given."""
    principal = services.doorman.principal(request)
    query = ListTools(
        user_id=principal.user_id, assistant_id=assistant_id, limit=limit, after=after
    )
    return await _page(services, query)


@post("/v1/assistants/{assistant_id:str}/tools/{tool_id:str}", status_code=204)
async def give_tool(
    request: AnyRequest, services: Wired, assistant_id: FromPath[str], tool_id: FromPath[str]
) -> None:
    """Give one's own assistant one of one's own tools."""
    await _give(services, services.doorman.principal(request), assistant_id, tool_id, True)


@delete("/v1/assistants/{assistant_id:str}/tools/{tool_id:str}")
async def take_tool(
    request: AnyRequest, services: Wired, assistant_id: FromPath[str], tool_id: FromPath[str]
) -> None:
    """Take a tool away from one's own assistant."""
    await _give(services, services.doorman.principal(request), assistant_id, tool_id, False)


async def _tool(request: AnyRequest, services: Services, principal: Principal) -> Tool:
    """Raises MeshError (bad_request, unsupported), naming the parameter at fault."""
    body = await read_body(request, ToolKeptBody)
    return await services.aside.read(principal.user_id, await request.body(), body.tool)


async def _give(
    services: Services, principal: Principal, assistant: str, tool: str, given: bool
) -> None:
    query = GiveTool(user_id=principal.user_id, assistant_id=assistant, tool_id=tool, given=given)
    await services.store.ask(query)


async def _page(services: Services, query: ListTools) -> Response[bytes]:
    page = await services.store.ask(query)
    return as_json(listed([tool_object(each) for each in page.tools], page.more))
