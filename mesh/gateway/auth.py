"""Signing in with a name and a password, or on loopback by name alone; staying so; signing out."""

from typing import Annotated

import msgspec
from litestar import MediaType, Response, delete, get, post
from litestar.params import FromQuery, HeaderParameter, QueryParameter
from litestar.response import Redirect
from msgspec import Meta, Struct

from mesh.gateway import sessions
from mesh.gateway.body import read_body
from mesh.gateway.errors import AnyRequest
from mesh.gateway.names import LONGEST_NAME, check_name
from mesh.gateway.services import Services, Wired
from mesh.gateway.sessions import NOT_KEPT, Renewed, TokenPair
from mesh.protocol.accounts import LogIn, RevokeRefresh, SignIn
from mesh.protocol.errors import ErrorCode, MeshError

DEBUG = "debug"
PASSWORD = "password"

RefreshHeader = Annotated[str, HeaderParameter(name="Refresh")]


class NameAndPassword(Struct):
    """What `POST /auth/login` takes."""

    username: Annotated[str, Meta(max_length=LONGEST_NAME)]
    password: Annotated[str, Meta(max_length=4096)]


@get("/auth/providers", public=True)
async def providers(request: AnyRequest, services: Wired) -> list[str]:
    """The ways to sign in to this gateway."""
    by_name = [DEBUG] if services.doorman.is_private(request) else []
    return [*by_name, PASSWORD, *services.sites]


@post("/auth/login", status_code=200, body=NameAndPassword, public=True)
async def password_login(request: AnyRequest, services: Wired) -> Response[TokenPair]:
    """Sign in with a name and a password."""
    body = await read_body(request, NameAndPassword)
    address = request.client.host if request.client else ""
    query = LogIn(account=body.username, password=body.password, address=address)
    user = await services.store.ask(query)
    return Response(await sessions.begin(services, user), headers=NOT_KEPT)


@get("/auth/login/debug", public=True, redirects=True)
async def login(
    request: AnyRequest,
    services: Wired,
    username: FromQuery[str] = "",
    state_: Annotated[str, QueryParameter(name="state")] = "",
) -> Redirect:
    """Send a browser to the debug login's callback, as other providers would."""
    _check(services, request, username)
    return Redirect(
        "/auth/callback/debug", status_code=302, query_params={"code": username, "state": state_}
    )


@get("/auth/callback/debug", public=True)
async def callback(
    request: AnyRequest, services: Wired, code: FromQuery[str] = ""
) -> Response[TokenPair]:
    """Sign in by name (`code`), on loopback only; creates the user when new."""
    name = _check(services, request, code)
    user = await services.store.ask(SignIn(provider=DEBUG, account=name, display_name=name))
    return Response(await sessions.begin(services, user), headers=NOT_KEPT)


@get("/auth/refresh", public=True)
async def refresh(services: Wired, token: RefreshHeader = "") -> Response[Renewed]:
    """A new access token for a refresh token, and the refresh token to use the next time.

    Who uses a refresh token again that was used before ends its whole family, save within seconds.
    """
    return Response(await sessions.renew(services, token), headers=NOT_KEPT)


@post("/auth/logout", status_code=200, public=True)
async def logout(services: Wired, token: RefreshHeader = "") -> None:
    """Sign out: the sign-in that the refresh token in the header `Refresh` came of is over.

    None of its refresh and access tokens is worth anything from now on, at any gateway.
    """
    await sessions.end(services, token)


@delete("/auth/sessions", status_code=200)
async def sign_out_everywhere(request: AnyRequest, services: Wired) -> None:
    """Sign out everywhere: all of one's refresh and access tokens end; keys stay."""
    user = services.doorman.signed_in(request)
    await services.store.ask(RevokeRefresh(user_id=user.user_id))


@get("/auth/check", reply=str)
async def check(request: AnyRequest, services: Wired) -> Response[bytes]:
    """The id of the signed-in user."""
    user = services.doorman.signed_in(request)
    return Response(msgspec.json.encode(user.user_id), media_type=MediaType.JSON)


def _check(services: Services, request: AnyRequest, username: str) -> str:
    """The name to sign in with. Raises MeshError: forbidden, bad_request."""
    if not services.doorman.is_private(request):
        raise MeshError(
            ErrorCode.FORBIDDEN,
            "The debug login is there on loopback only; this gateway serves a network.",
        )
    return check_name(username, "code")
