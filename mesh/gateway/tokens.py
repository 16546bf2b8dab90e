"""Access tokens: who signed in, signed by this mesh's own key. Checked without asking the store."""

import os
import time
from collections.abc import Callable
from hashlib import sha256
from hmac import digest
from pathlib import Path
from secrets import token_hex

import jwt
from msgspec import Struct

from mesh.protocol.accounts import Role, Scope, User
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.subjects import Priority
from mesh.settings import GatewaySettings

ALGORITHM = "HS256"
GUEST = "guest"

SHORTEST_KEY = 32
"""Characters; RFC 7518, section 3.2, wants a key as long as the hash, which has 32 bytes."""

_UNREADABLE = (jwt.InvalidTokenError, RecursionError)
"""What is raised of something that is no token, by older libraries also of one nested deeply."""

_TOO_SHORT = f"Set MESH_TOKEN_SECRET to at least {SHORTEST_KEY} characters, or leave it unset."
_CUT_OFF = "The signing key in {path} is cut off: delete the file, and a new key is made."


class Principal(Struct, frozen=True):
    """Who asks. `user_id` is also the tenant of what they ask for.

    key: the id of the API key, where that is how they asked, or the trusted client's; scopes: what
    that key may be used for, None: everything; trusted: a trusted client says who it is; priority:
    what they ask with; session: the sign-in that their access token came of, "" where it does not
    say.
    """

    user_id: str
    name: str
    role: Role = "user"
    guest: bool = False
    key: str = ""
    scopes: frozenset[Scope] | None = None
    trusted: bool = False
    priority: Priority = "normal"
    session: str = ""


class Tokens:
    """Signs and reads access tokens (JSON Web Tokens, RFC 7519, HMAC-SHA-256)."""

    def __init__(self, key: str, access_ttl: float, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._access_ttl = access_ttl
        self._clock = clock

    def access(self, user: User, since: float | None = None, session: str = "") -> str:
        """A token that speaks for a user for `access_ttl` seconds.

        since: Unix time by which it was known that it may; None: now; session: the sign-in that it
        comes of, and ends with (claim `sid`, as OpenID Connect calls it).
        """
        now = self._clock() if since is None else since
        claims = {
            "sub": user.id,
            "name": user.display_name,
            "role": user.role,
            "type": "access",
            "iat": now,
            "exp": now + self._access_ttl,
        }
        if session:
            claims["sid"] = session
        return jwt.encode(claims, self._key, ALGORITHM)

    def read(self, token: str) -> tuple[Principal, float]:
        """Who a token speaks for, and since when (Unix time).

        Raises MeshError: invalid_token, token_expired.
        """
        require = ["sub", "exp", "iat", "type"]
        try:
            # The library would go by this machine's clock, and it may be another gateway's token.
            claims = jwt.decode(
                token,
                self._key,
                [ALGORITHM],
                options={"require": require, "verify_exp": False, "verify_iat": False},
            )
        except _UNREADABLE:
            raise MeshError(ErrorCode.INVALID_TOKEN) from None
        if float(claims["exp"]) <= self._clock():
            raise MeshError(ErrorCode.TOKEN_EXPIRED)
        if claims["type"] != "access":
            raise MeshError(ErrorCode.INVALID_TOKEN, "This is not an access token; send that one.")
        role: Role = claims.get("role", "user")
        who = Principal(claims["sub"], claims.get("name", ""), role, session=claims.get("sid", ""))
        return who, float(claims["iat"])

    def signed(self, token: str) -> bool:
        """Whether this is one of our access tokens, expired or not."""
        try:
            jwt.decode(
                token, self._key, [ALGORITHM], options={"verify_exp": False, "verify_iat": False}
            )
        except _UNREADABLE:
            return False
        return True

    def derive(self, purpose: str) -> bytes:
        """A key of its own for another purpose, 32 bytes."""
        return digest(self._key.encode(), purpose.encode(), sha256)


def signing_key(settings: GatewaySettings) -> str:
    """The key from the settings, or the data folder's own, made at first use.

    Raises MeshError (bad_request) for one that is too short to sign with.
    """
    path = settings.data_path / "token.key"
    key = settings.token_secret or _kept(path)
    if len(key) < SHORTEST_KEY:
        detail = _TOO_SHORT if settings.token_secret else _CUT_OFF.format(path=path)
        raise MeshError(ErrorCode.BAD_REQUEST, detail)
    return key


def _kept(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        return path.read_text()
    except FileNotFoundError:
        pass
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token_hex(32))
        file.flush()
        os.fsync(file.fileno())  # an empty file after a power cut would let nobody in
    try:
        os.link(fresh, path)  # of two gateways that start at once, one key stays
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return path.read_text()
