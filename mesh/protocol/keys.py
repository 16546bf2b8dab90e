"""How an API key is spelled and kept: a prefix and 256 random bits, of which only a hash is kept.

SHA-256 is enough for that: there is nothing to guess, so there is nothing to slow down.
"""

from hashlib import sha256
from secrets import token_urlsafe
from typing import NamedTuple, get_args

from mesh.protocol.accounts import Scope

KEY_PREFIX = "sk-mesh-"
"""How every key begins, so that people and scanners know one when they see it."""

HINT = len(KEY_PREFIX) + 4
"""Characters of a key that lists show."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
USUAL_SCOPES: tuple[Scope, ...] = ("ask", "chats", "mesh")
"""All but the account itself: a key that leaks should not lock its owner out."""


class NewKey(NamedTuple):
    """A key that was just made up. secret: shown once; hash, hint: what is kept."""

    secret: str
    hash: str
    hint: str


def new_key() -> NewKey:
    """Another key."""
    secret = KEY_PREFIX + token_urlsafe(32)
    return NewKey(secret, hash_of(secret), secret[:HINT])


def hash_of(secret: str) -> str:
    """How a long random secret is kept: SHA-256 in hex."""
    return sha256(secret.encode()).hexdigest()


def looks_like_key(token: str) -> bool:
    """Whether this is meant to be a key, and not an access token."""
    return token.startswith(KEY_PREFIX)


def session_of(family: str) -> str:
    """The name of a sign-in, by the hash of its first refresh token.

    Access tokens carry it, and every gateway is told it when the sign-in ends: half of a hash
    opens nothing, and no two sign-ins share it.
    """
    return family[:32]
