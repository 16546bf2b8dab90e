"""Signing in and staying so: the debug login, access tokens and refresh tokens.

The debug login believes any name, so it is there on loopback only. A refresh token is a random
word that the store knows by its SHA-256 alone; access tokens are signed (`tokens.py`).
"""

import re
import time
from hashlib import sha256
from secrets import token_urlsafe
from typing import Annotated, Literal

import msgspec
from litestar import MediaType, Response, get
from litestar.params import FromQuery, HeaderParameter, QueryParameter
from litestar.response import Redirect
from msgspec import Struct

from mesh.gateway.errors import AnyRequest
from mesh.gateway.services import Services, Wired
from mesh.protocol.accounts import SaveRefresh, SignIn, User, UseRefresh
from mesh.protocol.errors import ErrorCode, MeshError

PROVIDER = "debug"
LONGEST_NAME = 100
NO_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd]")
"""Control characters, and what invalid UTF-8 is read as."""
NOT_KEPT = {"Cache-Control": "no-store"}


class AccessToken(Struct, frozen=True):
    """What goes into `Authorization: Bearer …`."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"


class RefreshToken(Struct, frozen=True):
    """What goes into the `Refresh` header of `GET /auth/refresh`, to get another access token."""

    access_token: str
    token_type: Literal["refresh"] = "refresh"


class TokenPair(Struct, frozen=True):
    """What a login gives."""

    access_token: AccessToken
    refresh_token: RefreshToken


@get("/auth/providers", public=True)
async def providers(services: Wired) -> list[str]:
    """The ways to sign in to this gateway."""
    return [PROVIDER] if services.rules.private else []


@get("/auth/login/debug", public=True, redirects=True)
async def login(
    services: Wired,
    username: FromQuery[str] = "",
    state_: Annotated[str, QueryParameter(name="state")] = "",
) -> Redirect:
    """Send a browser to the debug login's callback, as other providers would."""
    _check(services, username)
    return Redirect(
        "/auth/callback/debug", status_code=302, query_params={"code": username, "state": state_}
    )


@get("/auth/callback/debug", public=True)
async def callback(services: Wired, code: FromQuery[str] = "") -> Response[TokenPair]:
    """Sign in by name (`code`), on loopback only; creates the user when new."""
    name = _check(services, code)
    user = await services.store.ask(SignIn(provider=PROVIDER, account=name, display_name=name))
    refresh = token_urlsafe(32)
    expires = time.time() + services.settings.refresh_ttl
    await services.store.ask(
        SaveRefresh(user_id=user.id, token_hash=_hash(refresh), expires_at=expires)
    )
    return Response(TokenPair(_access(services, user), RefreshToken(refresh)), headers=NOT_KEPT)


@get("/auth/refresh", public=True)
async def refresh(
    services: Wired, token: Annotated[str, HeaderParameter(name="Refresh")] = ""
) -> Response[AccessToken]:
    """A new access token for a refresh token."""
    if not token:
        raise MeshError(ErrorCode.NOT_AUTHENTICATED, "Send your refresh token as: Refresh: …")
    if services.tokens.signed(token):
        raise MeshError(
            ErrorCode.BAD_REQUEST, "This is an access token; send the refresh token instead."
        )
    user = await services.store.ask(UseRefresh(token_hash=_hash(token)))
    return Response(_access(services, user), headers=NOT_KEPT)


@get("/auth/check", reply=str)
async def check(request: AnyRequest, services: Wired) -> Response[bytes]:
    """The id of the signed-in user."""
    user = services.doorman.signed_in(request)
    return Response(msgspec.json.encode(user.user_id), media_type=MediaType.JSON)


def _check(services: Services, username: str) -> str:
    """The name to sign in with. Raises MeshError: forbidden, bad_request."""
    if not services.rules.private:
        raise MeshError(
            ErrorCode.FORBIDDEN,
            "The debug login is there on loopback only; this gateway serves a network.",
        )
    name = username.strip()
    if not name or len(name) > LONGEST_NAME:
        raise MeshError(
            ErrorCode.BAD_REQUEST, f"Give a name of 1 to {LONGEST_NAME} characters.", param="code"
        )
    if NO_NAME.search(name):
        raise MeshError(
            ErrorCode.BAD_REQUEST,
            "A name is text in UTF-8 without control characters.",
            param="code",
        )
    return name


def _access(services: Services, user: User) -> AccessToken:
    return AccessToken(services.tokens.access(user))


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
