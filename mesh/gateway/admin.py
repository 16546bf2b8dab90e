"""People, for admins: who there is, their roles, signing them out, removing them."""

from typing import Annotated

from litestar import delete, get, post, put
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Meta, Struct

from mesh.gateway.account import LONGEST_PASSWORD, UserRead, remove, user_read
from mesh.gateway.body import read_body
from mesh.gateway.errors import AnyRequest
from mesh.gateway.services import Wired
from mesh.protocol.accounts import (
    Account,
    AddUser,
    ListUsers,
    RevokeRefresh,
    Role,
    SetPassword,
    SetRole,
)


class AccountRead(Struct, frozen=True, kw_only=True):
    """A person as an admin sees them. password: whether one is set; keys, chats: how many."""

    user: UserRead
    password: bool
    keys: int
    chats: int


class AccountList(Struct, frozen=True, kw_only=True):
    """Some accounts, oldest first. next: `after` of the next page."""

    accounts: tuple[AccountRead, ...]
    next: str | None


class NewUser(Struct, forbid_unknown_fields=True):
    """What `POST /admin/users` takes: somebody who signs in with this name and password."""

    account: Annotated[str, Meta(max_length=100)]
    password: Annotated[str, Meta(max_length=LONGEST_PASSWORD)]
    role: Role = "user"


class NewPassword(Struct, forbid_unknown_fields=True):
    """What `PUT /admin/users/{user_id}/password` takes."""

    password: Annotated[str, Meta(max_length=LONGEST_PASSWORD)]


class NewRole(Struct, forbid_unknown_fields=True):
    """What `PUT /admin/users/{user_id}/role` takes."""

    role: Role


@get("/admin/users")
async def list_users(
    request: AnyRequest,
    services: Wired,
    after: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> AccountList:
    """Everybody who has an account. For admins."""
    services.doorman.signed_in(request)
    found = await services.store.ask(ListUsers(after=after, limit=limit))
    return AccountList(accounts=tuple(map(_read, found.accounts)), next=found.next)


@post("/admin/users", status_code=200, body=NewUser)
async def add_user(request: AnyRequest, services: Wired) -> UserRead:
    """Make an account for somebody. For admins, in person."""
    services.doorman.in_person(request)
    body = await read_body(request, NewUser)
    query = AddUser(account=body.account, password=body.password, role=body.role)
    return user_read(await services.store.ask(query))


@put("/admin/users/{user_id:str}/role", body=NewRole)
async def set_role(request: AnyRequest, services: Wired, user_id: FromPath[str]) -> UserRead:
    """Make somebody a user, an operator or an admin, from now on. For admins, in person."""
    services.doorman.in_person(request)
    body = await read_body(request, NewRole)
    return user_read(await services.store.ask(SetRole(user=user_id, role=body.role)))


@put("/admin/users/{user_id:str}/password", body=NewPassword)
async def set_password(request: AnyRequest, services: Wired, user_id: FromPath[str]) -> None:
    """Give somebody another password, which signs them out everywhere. For admins, in person."""
    services.doorman.in_person(request)
    body = await read_body(request, NewPassword)
    await services.store.ask(SetPassword(user=user_id, password=body.password))


@delete("/admin/users/{user_id:str}", status_code=200)
async def remove_user(request: AnyRequest, services: Wired, user_id: FromPath[str]) -> None:
    """Delete somebody's account and all that belongs to it, for good. For admins."""
    services.doorman.signed_in(request)
    await remove(services, user_id)


@delete("/admin/refresh_tokens/{user_id:str}", status_code=200)
async def sign_out_user(request: AnyRequest, services: Wired, user_id: FromPath[str]) -> None:
    """Sign somebody out everywhere. For admins."""
    services.doorman.signed_in(request)
    await services.store.ask(RevokeRefresh(user_id=user_id))


def _read(account: Account) -> AccountRead:
    return AccountRead(
        user=user_read(account.user),
        password=account.password,
        keys=account.keys,
        chats=account.chats,
    )
