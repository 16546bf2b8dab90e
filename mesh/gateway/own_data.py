"""`GET /account/export`: all that the mesh keeps of somebody, as JSON lines, for themselves.

The account with its limits, then its keys with theirs, then a line per chat with its whole tree,
per generation outside chats, per run that calls tools, per dead letter, per user of a client of
`POST /v1/ask` and per day, key and model on which something was used, then assistants, tools,
threads, and what one wrote in threads that one takes part in no longer, then an end; without that
line something is missing.
"""

from collections.abc import AsyncIterator
from typing import Literal

import msgspec
from litestar import get
from litestar.response import Stream
from msgspec import Struct

from mesh.bus.dlq import letters
from mesh.gateway.account import KeyRead, UserRead, key_read, user_read
from mesh.gateway.errors import AnyRequest
from mesh.gateway.services import Services, Wired
from mesh.gateway.threads import own_data as threads
from mesh.gateway.usage import LimitsBody, limits_read
from mesh.gateway.whole_chat import whole_chat
from mesh.protocol.accounts import GetUser, ListKeys, ListRuns, ListShares, User
from mesh.protocol.chats import Chat, ChatMessage, ListChats, RunRow
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.limits import Allowance, GetAllowance, GetUsage, Place, UsageRow
from mesh.protocol.own_data import ClientRow, ListClients, ListToolRuns, ToolRunRow
from mesh.protocol.request import Message

PAGE = 100
KIND = "application/x-ndjson"


class AccountLine(Struct, frozen=True, kw_only=True):
    """The first line."""

    kind: Literal["account"] = "account"
    account: UserRead


class KeyLine(Struct, frozen=True, kw_only=True):
    """A key, without its secret, which nobody has."""

    kind: Literal["key"] = "key"
    key: KeyRead


class LimitsLine(Struct, frozen=True, kw_only=True):
    """What was said of one's limits, or of those of one's key; without such a line nothing was."""

    kind: Literal["limits"] = "limits"
    key: str
    limits: LimitsBody


class ChatLine(Struct, frozen=True, kw_only=True):
    """A chat with its tree of messages, and the ids of its links."""

    kind: Literal["chat"] = "chat"
    chat: Chat
    messages: list[ChatMessage]
    shares: list[str]


class RunLine(Struct, frozen=True, kw_only=True):
    """A generation outside chats."""

    kind: Literal["run"] = "run"
    run: RunRow


class ToolRunLine(Struct, frozen=True, kw_only=True):
    """A run that calls tools, with its calls and what came of them."""

    kind: Literal["tool_run"] = "tool_run"
    tool_run: ToolRunRow


class Letter(Struct, frozen=True, kw_only=True):
    """A request that is not tried again. id: of the request; text: what there was of its answer."""

    id: str
    model: str
    created_at: float
    ended_at: float
    why: str
    messages: tuple[Message, ...]
    text: str


class DeadLetterLine(Struct, frozen=True, kw_only=True):
    """A request of one's own that took its workers down, as it is kept for the operators."""

    kind: Literal["dead_letter"] = "dead_letter"
    dead_letter: Letter


class ClientLine(Struct, frozen=True, kw_only=True):
    """What a user of one's client has used."""

    kind: Literal["client"] = "client"
    client: ClientRow


class UsageLine(Struct, frozen=True, kw_only=True):
    """What one has used on a day, with a key, of a model."""

    kind: Literal["usage"] = "usage"
    usage: UsageRow


class EndLine(Struct, frozen=True, kw_only=True):
    """The last line: how many there were before it."""

    kind: Literal["end"] = "end"
    lines: int


Line = (
    AccountLine
    | LimitsLine
    | KeyLine
    | ChatLine
    | RunLine
    | ToolRunLine
    | DeadLetterLine
    | ClientLine
    | UsageLine
    | threads.ThreadsLine
)


@get("/account/export")
async def export_account(request: AnyRequest, services: Wired) -> Stream:
    """All that the mesh keeps of one, as JSON lines; the last one is of the kind `end`."""
    principal = services.doorman.signed_in(request)
    user = await services.store.ask(GetUser(user_id=principal.user_id))
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": 'attachment; filename="mesh-export.jsonl"',
    }
    return Stream(lambda: _encoded(services, user), media_type=KIND, headers=headers)


async def _encoded(services: Services, user: User) -> AsyncIterator[bytes]:
    count = 0
    async for line in _lines(services, user):
        count += 1
        yield msgspec.json.encode(line) + b"\n"
    yield msgspec.json.encode(EndLine(lines=count)) + b"\n"


async def _lines(services: Services, user: User) -> AsyncIterator[Line]:
    yield AccountLine(account=user_read(user))
    if (said := await _limits(services, user)) is not None:
        yield said
    for key in (await services.store.ask(ListKeys(user=user.id))).keys:
        yield KeyLine(key=key_read(key))
        if (said := await _limits(services, user, key.id)) is not None:
            yield said
    async for chat in _chats(services, user):
        line = await _chat(services, user, chat)
        if line is not None:
            yield line
    async for run in _runs(services, user):
        yield RunLine(run=run)
    async for tool_run in _tool_runs(services, user):
        yield ToolRunLine(tool_run=tool_run)
    async for letter in _letters(services, user):
        yield DeadLetterLine(dead_letter=letter)
    async for client in _clients(services, user):
        yield ClientLine(client=client)
    async for used in _usage(services, user):
        yield UsageLine(usage=used)
    async for kept in threads.lines(services, user.id):
        yield kept


async def _chats(services: Services, user: User) -> AsyncIterator[Chat]:
    after: str | None = None
    while True:
        query = ListChats(user_id=user.id, include_hidden=True, limit=PAGE, after=after)
        page = await services.store.ask(query)
        for chat in page.chats:
            yield chat
        after = page.next
        if after is None:
            return


async def _chat(services: Services, user: User, chat: Chat) -> ChatLine | None:
    """The line of a chat; None if it was deleted meanwhile."""
    try:
        return await _whole_chat(services, user, chat)
    except MeshError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        return None


async def _whole_chat(services: Services, user: User, chat: Chat) -> ChatLine:
    tree = await whole_chat(services, user.id, chat.id)
    links = await services.store.ask(ListShares(user_id=user.id, chat_id=chat.id))
    shares = [share.id for share in links.shares]
    return ChatLine(chat=chat, messages=list(tree.messages), shares=shares)


async def _runs(services: Services, user: User) -> AsyncIterator[RunRow]:
    after: str | None = None
    while True:
        page = await services.store.ask(ListRuns(tenant=user.id, after=after, limit=PAGE))
        for run in page.runs:
            yield run
        after = page.next
        if after is None:
            return


async def _tool_runs(services: Services, user: User) -> AsyncIterator[ToolRunRow]:
    after: str | None = None
    while True:
        page = await services.store.ask(ListToolRuns(tenant=user.id, after=after))
        for run in page.runs:
            yield run
        after = page.next
        if after is None:
            return


async def _clients(services: Services, user: User) -> AsyncIterator[ClientRow]:
    after: tuple[str, str] | None = None
    while True:
        page = await services.store.ask(ListClients(tenant=user.id, after=after))
        for client in page.clients:
            yield client
        after = page.next
        if after is None:
            return


async def _usage(services: Services, user: User) -> AsyncIterator[UsageRow]:
    after: Place | None = None
    while True:
        page = await services.store.ask(GetUsage(user=user.id, after=after))
        for row in page.rows:
            yield row
        after = page.next
        if after is None:
            return


async def _limits(services: Services, user: User, key_id: str = "") -> LimitsLine | None:
    """What was said of somebody's limits, or of a key's of theirs; None where nothing was, or where
    the key was revoked meanwhile."""
    try:
        said = await services.store.ask(GetAllowance(user=user.id, key_id=key_id))
    except MeshError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        return None
    return LimitsLine(key=key_id, limits=limits_read(said)) if said != Allowance() else None


async def _letters(services: Services, user: User) -> AsyncIterator[Letter]:
    for _, letter in await letters(services.js):
        request = letter.request
        if request.tenant == user.id:
            yield Letter(
                id=request.rid,
                model=request.model,
                created_at=request.created,
                ended_at=letter.at,
                why=letter.why,
                messages=request.messages,
                text=letter.text,
            )
