"""Links to one's chats, for people without an account: read only, as the chat was, and revocable.

Whoever has the id of a link may read; it has 256 random bits. A browser gets a page, others JSON.
"""

from typing import Literal

import msgspec
from litestar import MediaType, Response, delete, get, post
from litestar.params import FromPath
from msgspec import Struct

from mesh.gateway.errors import AnyRequest
from mesh.gateway.services import Services, Wired
from mesh.gateway.site import served
from mesh.protocol.accounts import (
    GetShared,
    ListShares,
    RevokeShare,
    Share,
    ShareChat,
)
from mesh.protocol.chats import ChatMessage, ChatTree, MessageState

SHARES = "/chats/{chat_id:str}/shares"


class ShareRead(Struct, frozen=True, kw_only=True):
    """A link. path: what comes behind the gateway's address; created_at: Unix time."""

    id: str
    path: str
    created_at: float


class ShareList(Struct, frozen=True):
    """The links to a chat, oldest first."""

    shares: tuple[ShareRead, ...]


class SharedMessage(Struct, frozen=True, kw_only=True):
    """A message of a shared chat; parent_id makes them a tree. model: of an answer."""

    id: str
    parent_id: str | None
    role: Literal["prompter", "assistant"]
    state: MessageState
    content: str | None
    model: str | None
    created_at: float


class SharedChat(Struct, frozen=True, kw_only=True):
    """What was said in a chat until the link was made; neither whose it is nor how it was asked."""

    title: str | None
    created_at: float
    active_thread_tail_message_id: str | None
    messages: tuple[SharedMessage, ...]


@post(SHARES, status_code=200, unrepeatable="Each request makes another link.")
async def share_chat(request: AnyRequest, services: Wired, chat_id: FromPath[str]) -> ShareRead:
    """Make a link to a chat as it is now: who has it may read that, and nothing else."""
    user = services.doorman.signed_in(request)
    return _read(await services.store.ask(ShareChat(user_id=user.user_id, chat_id=chat_id)))


@get(SHARES)
async def list_shares(request: AnyRequest, services: Wired, chat_id: FromPath[str]) -> ShareList:
    """The links to a chat."""
    user = services.doorman.signed_in(request)
    found = await services.store.ask(ListShares(user_id=user.user_id, chat_id=chat_id))
    return ShareList(tuple(map(_read, found.shares)))


@delete(SHARES + "/{share_id:str}", status_code=200)
async def revoke_share(
    request: AnyRequest, services: Wired, chat_id: FromPath[str], share_id: FromPath[str]
) -> None:
    """Take a link back: it leads nowhere from now on."""
    user = services.doorman.signed_in(request)
    query = RevokeShare(user_id=user.user_id, chat_id=chat_id, share_id=share_id)
    await services.store.ask(query)


@get("/shared/{share_id:str}", public=True, reply=SharedChat)
async def shared_chat(
    request: AnyRequest, services: Wired, share_id: FromPath[str]
) -> Response[bytes]:
    """The chat behind a link; for those who ask for text/html a page that shows it."""
    if "text/html" in request.headers.get("accept", ""):
        return served(request, "shared.html")
    tree, messages = await _whole(services, share_id)
    shared = SharedChat(
        title=tree.chat.title,
        created_at=tree.chat.created_at,
        active_thread_tail_message_id=tree.chat.active_thread_tail_message_id,
        messages=tuple(map(_shown, messages)),
    )
    return Response(
        msgspec.json.encode(shared),
        media_type=MediaType.JSON,
        headers={"Cache-Control": "no-store"},
    )


async def _whole(services: Services, share_id: str) -> tuple[ChatTree, list[ChatMessage]]:
    """The chat in as many parts as it takes."""
    messages: list[ChatMessage] = []
    after: str | None = None
    while True:
        tree = await services.store.ask(GetShared(share_id=share_id, after=after))
        messages += tree.messages
        after = tree.next
        if after is None:
            return tree, messages


def _read(share: Share) -> ShareRead:
    return ShareRead(id=share.id, path=f"/shared/{share.id}", created_at=share.created_at)


def _shown(message: ChatMessage) -> SharedMessage:
    return SharedMessage(
        id=message.id,
        parent_id=message.parent_id,
        role=message.role,
        state=message.state,
        content=message.content,
        model=message.work.model if message.work else None,
        created_at=message.created_at,
    )
