"""One attempt to sign in through a site: what has to come back as it went. Pure.

Nothing is kept of it here. Its random `state` goes to the site and, signed, into a cookie of the
browser; whoever comes back has to bring both (RFC 6749, section 10.12). The PKCE verifier (RFC
7636) and the nonce (OpenID Connect Core 1.0, section 3.1.2.1) are made of the state with a key of
our own, so that any gateway of this mesh can go on where another began.
"""

import re
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from hmac import compare_digest, digest
from secrets import token_urlsafe

from mesh.protocol.errors import ErrorCode, MeshError

LASTS = 600
"""Seconds in which one has to be back."""

_FORM = re.compile(
    r"(?P<signed>(?P<state>[A-Za-z0-9_-]{43})\.(?P<expires>[0-9]{10}))\.[0-9a-f]{64}"
)
_LOST = "This sign-in was not begun in this browser, or it took too long; begin it again."


class Attempt:
    """An attempt by its state. key: of this mesh, for this purpose."""

    def __init__(self, key: bytes, provider: str, state: str = "") -> None:
        self._key = key
        self._provider = provider
        self.state = state or token_urlsafe(32)

    @property
    def cookie(self) -> str:
        """What the browser keeps meanwhile."""
        return self._signed(f"{self.state}.{int(time.time()) + LASTS:010d}")

    @property
    def verifier(self) -> str:
        """The PKCE code verifier: 43 characters that nobody else knows."""
        return _base64(digest(self._key, f"pkce {self.state}".encode(), sha256))

    @property
    def challenge(self) -> str:
        """The PKCE code challenge, by the method S256."""
        return _base64(sha256(self.verifier.encode()).digest())

    @property
    def nonce(self) -> str:
        """What the ID token has to say again."""
        return digest(self._key, f"nonce {self.state}".encode(), sha256).hex()

    def _signed(self, text: str) -> str:
        named = f"{self._provider} {text}".encode()
        return f"{text}.{digest(self._key, named, sha256).hex()}"

    @classmethod
    def back(cls, key: bytes, provider: str, cookie: str, state: str) -> "Attempt":
        """The attempt that comes back. Raises MeshError (invalid_token) if it is not that one."""
        form = _FORM.fullmatch(cookie)
        attempt = cls(key, provider, form["state"] if form else "")
        if form is None or not compare_digest(cookie, attempt._signed(form["signed"])):
            raise MeshError(ErrorCode.INVALID_TOKEN, _LOST)
        in_time = int(form["expires"]) >= time.time()
        if not in_time or not compare_digest(form["state"].encode(), state.encode()):
            raise MeshError(ErrorCode.INVALID_TOKEN, _LOST)
        return attempt


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
