"""The front door: names each HTTP request, checks where it comes from, and who asks.

A request whose Host is none of ours is turned away (a page of some other site may have pointed
its own name at the loopback address), and so is a browser's request from a foreign Origin.
"""

from secrets import token_hex
from urllib.parse import urlsplit

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from mesh.gateway.errors import AnyRequest, answer
from mesh.gateway.tokens import GUEST, Principal, Tokens
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import GatewaySettings

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


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
    """ASGI middleware: request id, Host and Origin, CORS for allowed origins."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        origin = headers.get(b"origin", b"").decode("latin-1")
        added = self._headers(request_id, origin)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
            await send(message)

        try:
            self._rules.check(headers.get(b"host", b"").decode("latin-1"), origin)
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
