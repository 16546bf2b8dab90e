"""One's own account: who one is, password, keys, everything as a file, and leaving for good."""

import time
from typing import Annotated

from litestar import Response, delete, get, post, put
from litestar.params import FromPath
from msgspec import Meta, Struct

from mesh.bus.dlq import forget
from mesh.gateway.answering import cancel_all
from mesh.gateway.body import named_as_sent, read_body
from mesh.gateway.errors import AnyRequest
from mesh.gateway.runs.stopping import stop_all
from mesh.gateway.seeing_off import DELETED
from mesh.gateway.services import Services, Wired
from mesh.gateway.sessions import NOT_KEPT
from mesh.protocol.accounts import (
    CreateKey,
    GetUser,
    Key,
    ListKeys,
    RemoveUser,
    RevokeKey,
    Role,
    Scope,
    SetPassword,
    User,
)
from mesh.protocol.keys import USUAL_SCOPES, new_key

LONGEST_PASSWORD = 4096


class UserRead(Struct, frozen=True, kw_only=True):
    """A person. account: at this provider."""

    id: str
    provider: str
    account: str
    display_name: str
    role: Role
    created_at: float


class PasswordChange(Struct, forbid_unknown_fields=True):
    """What `PUT /account/password` takes."""

    old: Annotated[str, Meta(max_length=LONGEST_PASSWORD)]
    new: Annotated[str, Meta(max_length=LONGEST_PASSWORD)]


class NewKey(Struct, forbid_unknown_fields=True):
    """What `POST /account/keys` takes. scopes null: all but `account` and `admin`; expires_in:
    seconds from now, null: never."""

    name: Annotated[str, Meta(max_length=100)]
    scopes: tuple[Scope, ...] | None = None
    expires_in: Annotated[float, Meta(ge=1, le=10 * 31_536_000)] | None = None


class KeyRead(Struct, frozen=True, kw_only=True):
    """A key without its secret. hint: how it begins; times in Unix seconds."""

    id: str
    name: str
    hint: str
    scopes: tuple[Scope, ...]
    created_at: float
    expires_at: float | None
    last_used_at: float | None


class MadeKey(Struct, frozen=True, kw_only=True):
    """A new key. secret: what goes into `Authorization: Bearer …`; it is never shown again."""

    key: KeyRead
    secret: str


class KeyList(Struct, frozen=True):
    """One's keys, oldest first."""

    keys: tuple[KeyRead, ...]


def user_read(user: User) -> UserRead:
    return UserRead(
        id=user.id,
        provider=user.provider,
        account=user.account,
        display_name=user.display_name,
        role=user.role,
        created_at=user.created_at,
    )


@get("/account")
async def get_account(request: AnyRequest, services: Wired) -> UserRead:
    """Who one is."""
    return user_read(await _user(services, request))


@put("/account/password", body=PasswordChange)
async def change_password(request: AnyRequest, services: Wired) -> None:
    """Change one's password, which signs out everywhere, here too; keys stay, and change none."""
    user = services.doorman.in_person(request)
    change = await read_body(request, PasswordChange)
    query = SetPassword(user=user.user_id, password=change.new, old=change.old)
    with named_as_sent(password="new"):
        await services.store.ask(query)


@delete("/account", status_code=200)
async def delete_account(request: AnyRequest, services: Wired) -> None:
    """Delete one's account and all that belongs to it, for good: chats, answers, keys, links.

    What is being written is stopped. The log forgets by itself, after `MESH_RUN_MAX_AGE` seconds.
    """
    user = services.doorman.signed_in(request)
    await remove(services, user.user_id)


@post(
    "/account/keys",
    status_code=200,
    body=NewKey,
    unrepeatable="A key's secret is told once, so that each request makes another key.",
)
async def create_key(request: AnyRequest, services: Wired) -> Response[MadeKey]:
    """Make a key to use in one's own name; its secret is in this answer and nowhere else."""
    user = services.doorman.in_person(request)
    body = await read_body(request, NewKey)
    made = new_key()
    query = CreateKey(
        user=user.user_id,
        name=body.name,
        key_hash=made.hash,
        hint=made.hint,
        scopes=USUAL_SCOPES if body.scopes is None else body.scopes,
        expires_at=None if body.expires_in is None else time.time() + body.expires_in,
    )
    with named_as_sent(expires_at="expires_in"):
        key = await services.store.ask(query)
    return Response(MadeKey(key=key_read(key), secret=made.secret), headers=NOT_KEPT)


@get("/account/keys")
async def list_keys(request: AnyRequest, services: Wired) -> KeyList:
    """One's keys, without their secrets, and when they were used last."""
    user = services.doorman.signed_in(request)
    await services.accounts.report()
    found = await services.store.ask(ListKeys(user=user.user_id))
    return KeyList(tuple(key_read(key) for key in found.keys))


@delete("/account/keys/{key_id:str}", status_code=200)
async def revoke_key(request: AnyRequest, services: Wired, key_id: FromPath[str]) -> None:
    """Revoke a key: it is refused from now on, at every gateway."""
    user = services.doorman.signed_in(request)
    await services.store.ask(RevokeKey(key_id=key_id, user_id=user.user_id))


async def remove(services: Services, user: str) -> None:
    """Delete a person with everything, and stop what is written for them. Raises MeshError.

    user: as somebody types it, so what is theirs is looked for by the id that the store tells.
    Every gateway hears of it, too, and sees to the same (`seeing_off.py`); but here it has been
    done when this returns.
    """
    done = await services.store.ask(RemoveUser(user=user))
    cancel_all(services, done.unfinished, by=DELETED)
    stop_all(services, done.runs, by=DELETED)
    await forget(services.js, [done.user or user])  # a store of before tells no id


async def _user(services: Services, request: AnyRequest) -> User:
    user = services.doorman.signed_in(request)
    return await services.store.ask(GetUser(user_id=user.user_id))


def key_read(key: Key) -> KeyRead:
    return KeyRead(
        id=key.id,
        name=key.name,
        hint=key.hint,
        scopes=key.scopes,
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
    )
