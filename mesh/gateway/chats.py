"""Chats as wholes: create, list, read, change, hide, delete. Their messages: `messages.py`."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BadBase64
from typing import Annotated

from litestar import delete, get, post, put
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Meta, Struct

from mesh.gateway import views
from mesh.gateway.answering import cancel_all
from mesh.gateway.body import read_body
from mesh.gateway.errors import AnyRequest
from mesh.gateway.once import MADE_ONCE, made_id
from mesh.gateway.services import Wired
from mesh.gateway.views import ChatList, ChatListRead, ChatRead, chat_read, message_read
from mesh.gateway.whole_chat import whole_chat
from mesh.protocol.chats import (
    CreateChat,
    DeleteChat,
    HideAllChats,
    ListChats,
    UpdateChat,
)
from mesh.protocol.errors import ErrorCode, MeshError

Limit = Annotated[int, QueryParameter(ge=1, le=100)]


class NewChat(Struct, forbid_unknown_fields=True):
    """What `POST /chats` takes. The title comes from the first message by default."""

    title: Annotated[str, Meta(max_length=100)] | None = None


class ChatUpdate(Struct, forbid_unknown_fields=True):
    """What to change; null leaves it as it is."""

    title: Annotated[str, Meta(max_length=100)] | None = None
    hidden: bool | None = None
    allow_data_use: bool | None = None
    active_thread_tail_message_id: str | None = None


@post("/chats", status_code=200, body=NewChat, **MADE_ONCE)
async def create_chat(request: AnyRequest, services: Wired) -> ChatListRead:
    """Begin an empty chat."""
    user = services.doorman.signed_in(request)
    body = await read_body(request, NewChat)
    id = await made_id(services, user, request)
    try:
        chat = await services.store.ask(CreateChat(user_id=user.user_id, title=body.title, id=id))
    except MeshError as error:
        # The token is ours, but the database is another.
        if error.code is ErrorCode.NOT_FOUND and not user.trusted:
            raise MeshError(ErrorCode.INVALID_TOKEN) from error
        raise
    return chat_read(chat)


@get("/chats")
async def list_chats(
    request: AnyRequest,
    services: Wired,
    include_hidden: FromQuery[bool] = False,
    limit: Limit = 10,
    after: FromQuery[str | None] = None,
    before: FromQuery[str | None] = None,
) -> ChatList:
    """A page of one's chats, newest first; `after` and `before` are the cursors of another page."""
    user = services.doorman.signed_in(request)
    page = await services.store.ask(
        ListChats(
            user_id=user.user_id,
            include_hidden=include_hidden,
            limit=limit,
            after=_chat_at(after, "after"),
            before=_chat_at(before, "before"),
            min_seq=await services.latest.of(user.user_id),
        )
    )
    chats = tuple(chat_read(chat) for chat in page.chats)
    return ChatList(chats=chats, next=_cursor(page.next), prev=_cursor(page.prev))


@get("/chats/{chat_id:str}")
async def get_chat(request: AnyRequest, services: Wired, chat_id: FromPath[str]) -> ChatRead:
    """A chat with its whole tree of messages."""
    user = services.doorman.signed_in(request)
    tree = await whole_chat(services, user.user_id, chat_id)
    cards = services.models.cards()
    return views.with_messages(
        chat_read(tree.chat), tuple(message_read(message, cards) for message in tree.messages)
    )


@put("/chats/hide_all")
async def hide_all_chats(request: AnyRequest, services: Wired) -> None:
    """Hide all chats that one has."""
    user = services.doorman.signed_in(request)
    await services.store.ask(HideAllChats(user_id=user.user_id))


@put("/chats/{chat_id:str}", body=ChatUpdate)
async def update_chat(request: AnyRequest, services: Wired, chat_id: FromPath[str]) -> None:
    """Change a chat's title, visibility, data use, or the branch that is shown."""
    user = services.doorman.signed_in(request)
    change = await read_body(request, ChatUpdate)
    await services.store.ask(
        UpdateChat(
            user_id=user.user_id,
            chat_id=chat_id,
            title=change.title,
            hidden=change.hidden,
            allow_data_use=change.allow_data_use,
            active_thread_tail_message_id=change.active_thread_tail_message_id,
            min_seq=await services.latest.of(chat_id),
        )
    )


@delete("/chats/{chat_id:str}", status_code=200)
async def delete_chat(request: AnyRequest, services: Wired, chat_id: FromPath[str]) -> None:
    """Delete a chat and all that belongs to it for good; answers that are written are stopped."""
    user = services.doorman.signed_in(request)
    seq = await services.latest.of(chat_id)
    query = DeleteChat(user_id=user.user_id, chat_id=chat_id, min_seq=seq)
    done = await services.store.ask(query)
    cancel_all(services, done.unfinished, by="chat deleted")


def _cursor(chat_id: str | None) -> str | None:
    return None if chat_id is None else urlsafe_b64encode(chat_id.encode()).decode()


def _chat_at(cursor: str | None, param: str) -> str | None:
    """The chat id in a cursor. Raises MeshError (bad_request)."""
    if cursor is None:
        return None
    try:
        return urlsafe_b64decode(cursor.encode()).decode()
    except (BadBase64, UnicodeError) as error:
        raise MeshError(
            ErrorCode.BAD_REQUEST, f"{param} is no cursor of a list of chats.", param=param
        ) from error
