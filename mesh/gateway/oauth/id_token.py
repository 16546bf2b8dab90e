"""Reads an ID token: signed by the issuer, for us, for this attempt, now. Pure.

OpenID Connect Core 1.0, section 3.1.3.7. Only signatures with a public key are accepted: a token
that is not signed, or by a secret that others may share, is none.
"""

from hmac import compare_digest
from typing import Any

import jwt
import msgspec
from msgspec import Struct

from mesh.gateway.oauth.identity import Identity
from mesh.protocol.errors import ErrorCode, MeshError

ALGORITHMS = [
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
]
LEEWAY = 60
"""Seconds by which the issuer's clock may differ."""
WANTED = ["iss", "sub", "aud", "exp", "iat"]


class UnknownKey(Exception):
    """The token is signed with a key that is not among these: the issuer may have new ones."""


class Claims(Struct):
    """What we read of an ID token, or of the issuer's userinfo."""

    sub: str = ""
    aud: str | list[str] = ""
    azp: str | None = None
    nonce: str | None = None
    name: str | None = None
    preferred_username: str | None = None
    email: str | None = None
    email_verified: bool | str | None = None


def read(token: str, keys: dict[str, Any], issuer: str, client_id: str, nonce: str) -> Identity:
    """Who the token is about. keys: the issuer's JSON Web Key Set.

    Raises UnknownKey, or MeshError (invalid_token) with the reason.
    """
    try:
        key = _key(token, keys)
        options: Any = {"require": WANTED}
        raw = jwt.decode(
            token,
            key,
            ALGORITHMS,
            options,
            audience=client_id,
            issuer=issuer,
            leeway=LEEWAY,
        )
        claims = msgspec.convert(raw, Claims, strict=False)
    except (jwt.PyJWTError, msgspec.ValidationError, ValueError) as error:
        raise _refusal(str(error)) from error
    except RecursionError as error:  # its head or its claims
        raise _refusal("it is nested too deeply") from error
    if not compare_digest((claims.nonce or "").encode(), nonce.encode()):
        raise _refusal("it was made for another sign-in")
    shared = isinstance(claims.aud, list) and len(claims.aud) > 1
    if claims.azp != client_id and (claims.azp or shared):
        raise _refusal("it was made for another client")
    return identity(claims)


def identity(claims: Claims) -> Identity:
    """A person by the claims of OpenID Connect. Raises MeshError (invalid_token) without an id."""
    if not claims.sub:
        raise _refusal("it does not say who it is about")
    verified = claims.email_verified in (True, "true")  # some issuers say it as text
    return Identity(
        account=claims.sub,
        name=claims.name or claims.preferred_username or claims.email or claims.sub,
        email=(claims.email or "") if verified else "",
    )


def _key(token: str, keys: dict[str, Any]) -> jwt.PyJWK:
    """The key that the token names; the only one, if it names none."""
    kid = jwt.get_unverified_header(token).get("kid")
    fit = [
        key
        for key in jwt.PyJWKSet.from_dict(keys).keys
        if key.public_key_use in (None, "sig") and kid in (None, key.key_id)
    ]
    if len(fit) != 1:
        raise UnknownKey
    return fit[0]


def _refusal(why: str) -> MeshError:
    return MeshError(ErrorCode.INVALID_TOKEN, f"The site's ID token is not accepted: {why}.")
