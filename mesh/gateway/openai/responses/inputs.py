"""`GET /v1/responses/{id}/input_items`: what a response answers, as the items of a list."""

from typing import Annotated, Literal

from litestar import Response, get
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Struct

from mesh.gateway.body import as_json
from mesh.gateway.errors import AnyRequest
from mesh.gateway.openai.asked import bad
from mesh.gateway.openai.responses.finding import find
from mesh.gateway.openai.responses.shapes import Note
from mesh.gateway.queries import refuse_queries
from mesh.gateway.services import Wired
from mesh.protocol.request import Request

Order = Literal["asc", "desc"]


class InputText(Struct, tag_field="type", tag="input_text"):
    text: str


class OutputText(Struct, tag_field="type", tag="output_text"):
    text: str
    annotations: list[None] = []
    logprobs: list[None] = []


class Turn(Struct, tag_field="type", tag="message"):
    """What was said to the model, or what it said before."""

    id: str
    role: Literal["user", "system", "developer", "assistant"]
    content: list[InputText | OutputText]
    status: Literal["completed"] = "completed"


class Called(Struct, tag_field="type", tag="function_call"):
    """A function that it called before. arguments: JSON text."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: Literal["completed"] = "completed"


class Outcome(Struct, tag_field="type", tag="function_call_output"):
    """What came of a call."""

    id: str
    call_id: str
    output: str
    status: Literal["completed"] = "completed"


InputItem = Turn | Called | Outcome


class InputItems(Struct):
    """A page of a list. first_id, last_id: of this page, "" where there is nothing on it."""

    data: list[InputItem]
    first_id: str
    last_id: str
    has_more: bool
    object: Literal["list"] = "list"


@get("/v1/responses/{response_id:str}/input_items", reply=InputItems)
async def list_input_items(
    request: AnyRequest,
    services: Wired,
    response_id: FromPath[str],
    order: FromQuery[Order] = "desc",
    after: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
) -> Response[bytes]:
    """What a response answers, the newest first: its conversation, without instructions."""
    principal = services.doorman.principal(request)
    refuse_queries(request, "include", "before")
    _, asked, note = await find(services, principal, response_id)
    items = items_of(asked, note)
    if order == "desc":
        items.reverse()
    begin = 0
    if after is not None:
        ids = [item.id for item in items]
        if after not in ids:
            raise bad("after", f"There is no item {after!r} in this list.")
        begin = ids.index(after) + 1
    page = items[begin : begin + limit]
    told = InputItems(
        data=page,
        first_id=page[0].id if page else "",
        last_id=page[-1].id if page else "",
        has_more=begin + limit < len(items),
    )
    return as_json(told)


def items_of(asked: Request, note: Note) -> list[InputItem]:
    """The items of a conversation, oldest first, without the instructions: its first message, where
    there are any."""
    found: list[InputItem] = []

    def name(kind: str) -> str:
        return f"{kind}_{asked.rid}_in{len(found)}"

    for at, turn in enumerate(asked.messages):
        if at == 0 and note.instructions:
            continue
        if turn.role == "tool":
            found.append(Outcome(name("fco"), turn.tool_call_id, turn.content))
            continue
        if turn.content or not turn.tool_calls:
            text = OutputText if turn.role == "assistant" else InputText
            role = "developer" if at in note.developers else turn.role
            found.append(Turn(name("msg"), role, [text(turn.content)]))
        for call in turn.tool_calls:
            found.append(Called(name("fc"), call.id, call.name, call.arguments))
    return found
