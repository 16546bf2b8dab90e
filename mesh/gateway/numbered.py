"""Chats by number: what `POST /generate` keeps, `POST /history` lists and `POST /fetch` reads.

They are chats like all others, and on the page as well; here they are known by small numbers, one
after the other for each user, and their tree is the branch that ends in the newest message.
"""

import time
from datetime import UTC, datetime
from secrets import token_hex
from typing import Annotated, NamedTuple

import msgspec
from litestar import Response, get, post
from litestar.params import FromQuery
from msgspec import Meta, Struct

from mesh.gateway.auth import DEBUG
from mesh.gateway.body import as_json, read_body
from mesh.gateway.errors import AnyRequest, request_id
from mesh.gateway.names import check_name
from mesh.gateway.services import Services, Wired
from mesh.gateway.taking_back import close_empty
from mesh.gateway.tokens import Principal
from mesh.gateway.whole_chat import whole_chat
from mesh.protocol.accounts import SignIn
from mesh.protocol.chats import ChatMessage, PlanAnswer
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.numbered import ListNumbered, OpenChat
from mesh.protocol.request import Message, Turn, UserMessage

ChatNumber = Annotated[int, Meta(ge=1, le=2**31 - 1)]
LookedFor = Annotated[int, Meta(le=2**63 - 1)]
"""What may be a chat's number, or that of none: anything that the database can hold."""

NAME_YOURSELF = "Say in username whose chat it is, or sign in."
NO_CHATS = "This key may not be used here: it lacks the scope 'chats'."


class Place(NamedTuple):
    """Where an answer goes. messages: the conversation up to it; unfinished: rids of answers that
    the chat is still writing to other questions."""

    turn: Turn
    messages: tuple[Message, ...]
    unfinished: tuple[str, ...]


class Whose(Struct):
    """What `POST /history` takes. username: as in `POST /generate`."""

    username: str = ""


class Which(Struct):
    """What `POST /fetch` takes."""

    chat_id: LookedFor
    username: str = ""


class ChatBrief(Struct, frozen=True):
    """A chat in the list. latest_msg: how that begins which was said last."""

    chat_id: int
    latest_msg: str


class ChatText(Struct, frozen=True):
    """messages: each with its number from 1, its text, and when that was, in UTC."""

    messages: tuple[tuple[int, str, str], ...]


class Fetched(Struct, frozen=True, rename="pascal"):
    """A chat that was found."""

    success: ChatText


class Nothing(Struct, frozen=True):
    message: str


class NotFetched(Struct, frozen=True):
    """There is no such chat: as clients of this route expect it, and as everywhere."""

    error: Nothing = msgspec.field(name="Error")
    detail: str
    code: ErrorCode
    request_id: str


class NextNumber(Struct, frozen=True):
    chat_id: int


@post("/history", status_code=200, body=Whose)
async def history(request: AnyRequest, services: Wired) -> list[ChatBrief]:
    """One's chats by number, each with what was said in it last."""
    body = await read_body(request, Whose)
    try:
        who = await person(services, request, body.username)
    except MeshError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        return []
    found = await services.store.ask(ListNumbered(user_id=who.user_id))
    return [ChatBrief(chat.number, chat.latest) for chat in found.chats]


@post("/fetch", status_code=200, body=Which, reply=Fetched)
async def fetch(request: AnyRequest, services: Wired) -> Response[bytes]:
    """A chat of one's own by its number: what was said, oldest first."""
    body = await read_body(request, Which)
    try:
        who = await person(services, request, body.username)
        chat = await services.store.ask(
            OpenChat(user_id=who.user_id, number=max(0, body.chat_id), known_only=True)
        )
        tree = await whole_chat(services, who.user_id, chat.id)
    except MeshError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        detail, code = _nothing(body), ErrorCode.NOT_FOUND
        return as_json(NotFetched(Nothing(detail), detail, code, request_id(request)), 404)
    return as_json(Fetched(ChatText(_numbered(newest_branch(tree.messages)))))


@get("/next_chat_id")
async def next_chat_id(
    request: AnyRequest, services: Wired, username: FromQuery[str] = ""
) -> NextNumber:
    """The number that one's next chat would get."""
    try:
        who = await person(services, request, username)
    except MeshError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        return NextNumber(1)
    return NextNumber((await services.store.ask(ListNumbered(user_id=who.user_id, limit=1))).next)


async def person(
    services: Services, request: AnyRequest, username: str, new: bool = False
) -> Principal:
    """Whose chats these are: of who is signed in, or, where nobody has to, of any name.

    new: a name that was never heard makes a user, as the debug login does. Raises MeshError:
    not_authenticated, forbidden, bad_request, not_found.
    """
    principal = services.doorman.principal(request)
    if principal.scopes is not None and "chats" not in principal.scopes:
        raise MeshError(ErrorCode.FORBIDDEN, NO_CHATS)
    if not principal.guest:
        return principal
    if not username:
        raise MeshError(ErrorCode.NOT_AUTHENTICATED, NAME_YOURSELF)
    name = check_name(username, "username")
    query = SignIn(provider=DEBUG, account=name, display_name=name, known_only=not new)
    user = await services.store.ask(query)
    return Principal(user.id, user.display_name, user.role, priority=principal.priority)


async def place(
    services: Services, who: Principal, model: str, prompt: str, number: int | None
) -> Place:
    """The end of a chat, which is begun if it is not there; number None: of a new one.

    Raises MeshError as the store does, and queue_full, share_full.
    """
    await services.requests.queue.check_room(model, who.user_id, who.priority)
    chat = await services.store.ask(OpenChat(user_id=who.user_id, number=number or 0))
    said = UserMessage(id=token_hex(16), content=prompt, created=time.time())
    query = PlanAnswer(user_id=who.user_id, chat_id=chat.id, user_message=said, at_end=True)
    try:
        plan = await services.store.ask(query)
    except MeshError:
        await close_empty(services, who.user_id, chat.id)
        raise
    return Place(plan.turn, plan.messages, plan.unfinished)


def newest_branch(messages: tuple[ChatMessage, ...]) -> list[ChatMessage]:
    """From the first message to the newest one that says something."""
    by_id = {message.id: message for message in messages}
    at = next((message for message in reversed(messages) if message.content), None)
    branch: list[ChatMessage] = []
    while at is not None:
        branch.append(at)
        at = by_id.get(at.parent_id or "")
    return branch[::-1]


def _numbered(branch: list[ChatMessage]) -> tuple[tuple[int, str, str], ...]:
    said = [message for message in branch if message.content]
    return tuple(
        (number, message.content or "", _time(message.created_at))
        for number, message in enumerate(said, 1)
    )


def _time(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _nothing(body: Which) -> str:
    whose = f" for user `{body.username}`" if body.username else ""
    return f"no chat history found{whose} with chat ID `{body.chat_id}`"
