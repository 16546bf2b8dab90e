"""What a login gives: an access token and a refresh token, and how they are renewed and ended.

A refresh token is a random word that the store knows by its SHA-256 alone; each is good for one
use. The first of a sign-in is drawn; each that follows is made of the one before it, with a key of
this mesh. So whoever uses one twice within the leeway, a client whose answer got lost, two tabs, or
a thief beside the robbed, is given the same next one, at whatever gateway, though nobody keeps it:
there is one chain, and who goes on from an old link of it is found out (`mesh/store/queries/
tokens.py`; RFC 9700, section 4.14.2). Access tokens are signed (`tokens.py`).
"""

from base64 import urlsafe_b64encode
from hashlib import sha256
from hmac import digest
from secrets import token_urlsafe
from typing import Literal

from msgspec import Struct

from mesh.gateway.services import Services
from mesh.protocol.accounts import RevokeRefresh, SaveRefresh, User, UseRefresh
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.keys import hash_of, session_of

NOT_KEPT = {"Cache-Control": "no-store"}


class AccessToken(Struct, frozen=True):
    """What goes into `Authorization: Bearer …`."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"


class RefreshToken(Struct, frozen=True):
    """What goes into the `Refresh` header of `GET /auth/refresh`, once, to get another pair."""

    access_token: str
    token_type: Literal["refresh"] = "refresh"


class TokenPair(Struct, frozen=True):
    """What a login gives."""

    access_token: AccessToken
    refresh_token: RefreshToken


class Renewed(Struct, frozen=True):
    """A new access token, and the refresh token that takes the place of the one that was sent."""

    access_token: str
    refresh_token: RefreshToken
    token_type: Literal["bearer"] = "bearer"


async def begin(services: Services, user: User) -> TokenPair:
    """Sign a user in, as the store has told them; if they were signed out everywhere since, not.

    Raises MeshError: invalid_token, store_unavailable.
    """
    token, expires = token_urlsafe(32), _expiry(services)
    began = services.clock()  # before the store looks: a sign-out after that ends it
    access = services.tokens.access(user, began, session_of(hash_of(token)))
    query = SaveRefresh(
        user_id=user.id,
        token_hash=hash_of(token),
        expires_at=expires,
        valid_from=user.valid_from,
        access_until=began + services.settings.access_ttl,
    )
    await services.store.ask(query)
    return TokenPair(AccessToken(access), RefreshToken(token))


async def renew(services: Services, token: str) -> Renewed:
    """Take a refresh token for a new pair; the same once more within the leeway leads to the same.

    Raises MeshError: not_authenticated, bad_request, invalid_token, token_expired,
    store_unavailable.
    """
    _check_kind(services, token)
    new, expires = _next(services, token), _expiry(services)
    asked = services.clock()
    query = UseRefresh(
        token_hash=hash_of(token),
        new_hash=hash_of(new),
        expires_at=expires,
        access_until=asked + services.settings.access_ttl,
    )
    user = await services.store.ask(query)
    return Renewed(services.tokens.access(user, asked, user.session), RefreshToken(new))


async def end(services: Services, token: str) -> None:
    """End the sign-in that a refresh token came of. Raises MeshError as `renew`."""
    _check_kind(services, token)
    await services.store.ask(RevokeRefresh(user_id="", token_hash=hash_of(token)))


def _next(services: Services, token: str) -> str:
    """The refresh token that takes another's place: for us always the same, for others 256 bits
    that say nothing."""
    made = digest(services.tokens.derive("refresh"), token.encode(), sha256)
    return urlsafe_b64encode(made).rstrip(b"=").decode()


def _expiry(services: Services) -> float:
    """Unix time until which a refresh token that is given out now is good."""
    return services.clock() + services.settings.refresh_ttl


def _check_kind(services: Services, token: str) -> None:
    if not token:
        raise MeshError(ErrorCode.NOT_AUTHENTICATED, "Send your refresh token as: Refresh: …")
    if services.tokens.signed(token):
        raise MeshError(
            ErrorCode.BAD_REQUEST, "This is an access token; send the refresh token instead."
        )
