"""`/v1/users`: people as the objects that own assistants and take part in threads.

The same people as everywhere: an admin makes and lists them, anybody sees, names and deletes
oneself. What a key needs for it is what it needs for `/admin/users` and `/account`.
"""

from secrets import token_hex
from typing import Annotated, Literal

from litestar import Response, delete, get, post, put
from litestar.params import FromPath, FromQuery
from msgspec import Meta, Struct

from mesh.gateway import access
from mesh.gateway.account import LONGEST_PASSWORD, remove
from mesh.gateway.assistants.routes import oneself
from mesh.gateway.body import as_json, named_as_sent, read_body
from mesh.gateway.errors import AnyRequest
from mesh.gateway.listing import ObjectList, PageLimit, listed
from mesh.gateway.names import LONGEST_NAME, check_name
from mesh.gateway.services import Services, Wired
from mesh.gateway.tokens import Principal
from mesh.protocol.accounts import AddUser, GetUser, ListUsers, RenameUser, SignIn, User

PROVIDER = "api"
"""Of those who were made here without a password: nobody signs in by it."""

Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]


class UserBody(Struct, forbid_unknown_fields=True):
    """A new user. name: what they are called, with a password what they sign in with; without one
    they do not sign in, and `mesh key create` makes keys for them."""

    name: Name = "Anonymous User"
    password: Annotated[str, Meta(max_length=LONGEST_PASSWORD)] | None = None


class UserNameBody(Struct, forbid_unknown_fields=True):
    """What somebody is called from now on; nothing else of a user is changed here."""

    name: Name


class UserObject(Struct):
    """A user. created_at: Unix seconds."""

    id: str
    created_at: int
    name: str
    object: Literal["user"] = "user"


class UserDeleted(Struct):
    """What becomes of a user who is deleted."""

    id: str
    object: Literal["user.deleted"] = "user.deleted"
    deleted: Literal[True] = True
    success: Literal[True] = True


@post(
    "/v1/users",
    status_code=200,
    body=UserBody,
    unrepeatable="Each request makes another user, or is refused for the name.",
)
async def create_user(request: AnyRequest, services: Wired) -> UserObject:
    """Make a user. For admins; with a password in person."""
    _admin(services, request)
    body = await read_body(request, UserBody)
    name = check_name(body.name, "name")
    if body.password is not None:
        services.doorman.in_person(request)  # for it is a way to sign in, which a key has not
        with named_as_sent(account="name"):
            return _shown(await services.store.ask(AddUser(account=name, password=body.password)))
    made = SignIn(provider=PROVIDER, account=token_hex(16), display_name=name)
    return _shown(await services.store.ask(made))


@get("/v1/users", reply=ObjectList[UserObject])
async def list_all_users(
    request: AnyRequest,
    services: Wired,
    limit: PageLimit = 20,
    after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """Everybody, oldest first. For admins."""
    _admin(services, request)
    page = await services.store.ask(ListUsers(after=after, limit=limit))
    found = [_shown(account.user) for account in page.accounts]
    return as_json(listed(found, page.next is not None))


@get("/v1/users/{user_id:str}")
async def get_user(request: AnyRequest, services: Wired, user_id: FromPath[str]) -> UserObject:
    """Oneself; for admins anybody."""
    _oneself_or_admin(services, request, user_id)
    return _shown(await services.store.ask(GetUser(user_id=user_id)))


@put("/v1/users/{user_id:str}", body=UserNameBody)
async def update_user(request: AnyRequest, services: Wired, user_id: FromPath[str]) -> UserObject:
    """Call oneself something else; for admins anybody."""
    _oneself_or_admin(services, request, user_id)
    body = await read_body(request, UserNameBody)
    name = check_name(body.name, "name")
    return _shown(await services.store.ask(RenameUser(user_id=user_id, display_name=name)))


@delete("/v1/users/{user_id:str}", status_code=200)
async def delete_user(request: AnyRequest, services: Wired, user_id: FromPath[str]) -> UserDeleted:
    """Delete one's account and all that belongs to it, for good; for admins anybody's."""
    _oneself_or_admin(services, request, user_id)
    await services.store.ask(GetUser(user_id=user_id))  # by the id alone, and not by a name
    await remove(services, user_id)
    return UserDeleted(user_id)


def _admin(services: Services, request: AnyRequest) -> None:
    """Raises MeshError (not_authenticated, forbidden)."""
    access.check("/admin/users", services.doorman.signed_in(request))


def _oneself_or_admin(services: Services, request: AnyRequest, user_id: str) -> Principal:
    """Raises MeshError (not_authenticated, forbidden, not_found)."""
    principal = services.doorman.signed_in(request)
    if principal.role == "admin" and user_id != principal.user_id:
        access.check("/admin/users", principal)
        return principal
    access.check("/account", principal)
    return oneself(principal, user_id)


def _shown(user: User) -> UserObject:
    return UserObject(user.id, int(user.created_at), user.display_name)
