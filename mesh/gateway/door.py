"""The front door: names each HTTP request, checks its size, where it comes from, and who asks.

A request whose Host is none of ours is turned away (a page of some other site may have pointed
its own name at the loopback address), and so is a browser's request from a foreign Origin.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from secrets import token_hex
from urllib.parse import urlsplit

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from mesh.gateway.errors import AnyRequest, answer
from mesh.gateway.tokens import GUEST, Principal, Tokens
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import GatewaySettings

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

READ_AWAY_BYTES, READ_AWAY_SECONDS = 64 << 20, 10.0
"""How much of a body that is too long is read before it is refused."""


class Rules:
    """Who may come in. `private` holds on a loopback address with loopback names only:

    there, and nowhere else, are guests and the debug login allowed.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        named = _names(settings.allowed_hosts)
        bound = settings.host.strip("[]")
        self.private = bound in LOOPBACK and not named
        self.hosts = named or (LOOPBACK if bound in LOOPBACK else {bound} | LOOPBACK)
        self.origins = frozenset(_names(settings.allowed_origins))
        self.any_host = bound in ("0.0.0.0", "::") and not named

    def check(self, host: str, origin: str) -> None:
        """Raise MeshError (forbidden) for a foreign Host or Origin."""
        name = urlsplit(f"//{host}").hostname or ""
        if not self.any_host and name not in self.hosts:
            raise MeshError(
                ErrorCode.FORBIDDEN,
                f"This gateway does not go by the name {name!r}; set MESH_ALLOWED_HOSTS if it "
                "should.",
            )
        if origin and origin not in self.origins and urlsplit(origin).netloc != host:
            raise MeshError(
                ErrorCode.FORBIDDEN,
                f"Pages from {origin} may not call this gateway; set MESH_ALLOWED_ORIGINS if they "
                "should.",
            )


class Door:
    """ASGI middleware around the whole application, unknown routes included.

    Gives each request its id, checks Host and Origin, adds CORS for allowed origins, and turns
    bodies away that say that they are longer than `max_body` bytes.
    """

    def __init__(self, app: ASGIApp, rules: Rules, max_body: int) -> None:
        self._app = app
        self._rules = rules
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        origin = headers.get(b"origin", b"").decode("latin-1")
        added = self._headers(request_id, origin)

        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
            return send(message)

        try:
            self._rules.check(headers.get(b"host", b"").decode("latin-1"), origin)
            length = headers.get(b"content-length", b"")
            if length.isdigit() and int(length) > self._max_body:
                await _read_away(receive)
                raise MeshError(
                    ErrorCode.TOO_LARGE,
                    f"The body has {int(length):,} bytes; at most {self._max_body:,} are accepted.",
                )
        except MeshError as error:
            request: AnyRequest = AnyRequest(scope, receive, send)
            response = answer(request, error).to_asgi_response(None, request)
            await response(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _headers(self, request_id: str, origin: str) -> list[tuple[bytes, bytes]]:
        headers = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
        if origin in self._rules.origins:
            headers += [(b"access-control-allow-origin", origin.encode()), (b"vary", b"Origin")]
        return headers


async def _read_away(receive: Receive) -> None:
    """Read a body that nobody wants, within reason: who is still sending hears no answer."""
    read = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(READ_AWAY_SECONDS):
            while read < READ_AWAY_BYTES:
                message = await receive()
                if message["type"] != "http.request" or not message["more_body"]:
                    return
                read += len(message["body"])


class Doorman:
    """Says who asks, by the Authorization header."""

    def __init__(self, tokens: Tokens, rules: Rules) -> None:
        self._tokens = tokens
        self._rules = rules

    def principal(self, request: AnyRequest) -> Principal:
        """The signed-in user, or the guest where guests are allowed.

        Raises MeshError: not_authenticated, invalid_token, token_expired.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip()
        if not scheme or (self._rules.private and token == GUEST):
            return self._guest()
        if scheme.lower() != "bearer" or not token:
            raise MeshError(ErrorCode.INVALID_TOKEN, "Send the header as: Authorization: Bearer …")
        return self._tokens.principal(token)

    def signed_in(self, request: AnyRequest) -> Principal:
        """The signed-in user; guests are not enough. Raises MeshError as `principal`."""
        principal = self.principal(request)
        if principal.guest:
            raise MeshError(ErrorCode.NOT_AUTHENTICATED)
        return principal

    def _guest(self) -> Principal:
        if not self._rules.private:
            raise MeshError(ErrorCode.NOT_AUTHENTICATED)
        return Principal(GUEST, "Guest", guest=True)


def _names(listed: str) -> set[str]:
    return {name.strip() for name in listed.split(",") if name.strip()}
