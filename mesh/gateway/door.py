"""The front door: names each HTTP request, checks its size and where it comes from.

A request whose Host is none of ours is turned away (a page of some other site may have pointed
its own name at the loopback address), and so is a browser's request from a foreign Origin, save to
the route that takes cancel tokens.
"""

import re
from collections.abc import Awaitable, Mapping
from secrets import token_hex

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from mesh.bus.trace import TRACE
from mesh.gateway.errors import AnyRequest, answer
from mesh.gateway.event_stream import STRAIGHT, over
from mesh.gateway.incoming import Incoming
from mesh.gateway.limits.headers import EXPOSED, TOLD
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import LOOPBACK, GatewaySettings

HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
"""A Host header (RFC 9110, section 7.2): a name or an address, IPv6 in brackets, maybe a port."""

ALLOWED = b"access-control-allow-headers"

PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, POST, PUT, DELETE"),
    (
        ALLOWED,
        b"Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Refresh, Traceparent, "
        b"Tracestate, X-Priority",
    ),
    (b"access-control-max-age", b"3600"),
]
"""What pages of allowed origins may send, and for how many seconds a browser may remember it."""

OF_OPENAI = re.compile(r"x-stainless-[a-z0-9-]{1,40}|openai-(beta|organization|project)")
"""What OpenAI's library adds by itself, in ever more headers: those of this kind that a browser
asks for are allowed, too."""

EXPOSE = f"X-Request-Id, Retry-After, {EXPOSED}".encode()
"""What such pages may read of the headers of answers."""

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
"""An id that a client, or a proxy, may give its request itself (`x-request-id`)."""

FROM_ANYWHERE = "/cancel"
"""The one route that pages of any origin may call: its cancel token says what may be done."""

FROM_ANYWHERE_PREFLIGHT = [
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"Content-Type"),
    (b"access-control-max-age", b"3600"),
]
"""What they may send there: no Authorization, for the token is in the body."""


class Rules:
    """Who may come in. `private` holds on a loopback address with loopback names only:

    there, and nowhere else, are guests and the debug login allowed.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        named = _names(settings.allowed_hosts)
        bound = settings.host.strip("[]")
        self.private = settings.private
        self.hosts = named or (LOOPBACK if bound in LOOPBACK else {bound} | LOOPBACK)
        self.origins = frozenset(_names(settings.allowed_origins))
        self.any_host = bound in ("0.0.0.0", "::") and not named

    def check(self, host: str, origin: str) -> None:
        """Raise MeshError: forbidden for a foreign Host or Origin, bad_request for a Host that
        is none."""
        name = _host_name(host)
        if not self.any_host and name not in self.hosts:
            raise MeshError(
                ErrorCode.FORBIDDEN,
                f"This gateway does not go by the name {name!r}; set MESH_ALLOWED_HOSTS if it "
                "should.",
            )
        own = (f"http://{host}", f"https://{host}")
        if origin and origin not in self.origins and origin not in own:
            raise MeshError(
                ErrorCode.FORBIDDEN,
                f"Pages from {origin} may not call this gateway; set MESH_ALLOWED_ORIGINS if they "
                "should.",
            )


class Door:
    """ASGI middleware around the whole application, unknown routes included.

    Gives each request its id, checks Host and Origin, answers the preflights of allowed origins
    (CORS), and turns bodies away that say that they are longer than `max_body` bytes. Whoever is
    refused while still sending is heard out before.
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
        request_id = _id(headers.get(b"x-request-id", b""))
        scope["state"] = {"request_id": request_id, STRAIGHT: send}  # of this request alone
        TRACE.set(request_id)
        origin = headers.get(b"origin", b"").decode("latin-1")
        anywhere = scope["path"] == FROM_ANYWHERE
        added = self._headers(request_id, origin, anywhere)
        body = Incoming(receive, headers, self._max_body)

        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                told = scope["state"].get(TOLD, list)
                message["headers"] = [*message["headers"], *added, *told()]
                if message["status"] >= 400:
                    return _refuse(body, message, send)
            return send(message)

        try:
            host, foreign = _once(scope, b"host"), _once(scope, b"origin")
            self._rules.check(host, "" if anywhere else foreign)
            if not anywhere and not foreign:
                _check_site(headers)
            await body.check()
        except MeshError as error:
            request: AnyRequest = AnyRequest(scope, receive, send)
            response = answer(request, error).to_asgi_response(None, request)
            await response(scope, receive, send_with_headers)
            return
        allowed = anywhere or origin in self._rules.origins
        if allowed and _is_preflight(scope["method"], headers):
            preflight = FROM_ANYWHERE_PREFLIGHT if anywhere else _preflight(headers)
            await _allow(preflight, send_with_headers)
            return
        try:
            await self._app(scope, body.receive, send_with_headers)
        finally:
            over(scope)

    def _headers(self, request_id: str, origin: str, anywhere: bool) -> list[tuple[bytes, bytes]]:
        headers = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
        if anywhere:
            headers.append((b"access-control-allow-origin", b"*"))
        elif origin in self._rules.origins:
            headers += [
                (b"access-control-allow-origin", origin.encode("latin-1")),
                (b"access-control-expose-headers", EXPOSE),
                (b"vary", b"Origin"),
            ]
        return headers


def _id(given: bytes) -> str:
    """The id of a request: its own, where it can be written down anywhere, else a new one."""
    return given.decode() if REQUEST_ID.fullmatch(given) else token_hex(8)


def _check_site(headers: Mapping[bytes, bytes]) -> None:
    """Raise MeshError (forbidden) for what a page of another site has its reader's browser fetch.

    Such a request has no Origin where it is for a picture or a script (Fetch Metadata). Links,
    and the way back from a provider of sign-ins, are navigations, and may come from anywhere.
    """
    foreign = headers.get(b"sec-fetch-site") == b"cross-site"
    if foreign and headers.get(b"sec-fetch-mode") != b"navigate":
        raise MeshError(ErrorCode.FORBIDDEN, "Pages of other sites may not call this gateway.")


def _once(scope: Scope, name: bytes) -> str:
    """A header that may stand once, or "". Raises MeshError (bad_request)."""
    found = [value for header, value in scope["headers"] if header == name]
    if len(found) > 1:
        raise MeshError(
            ErrorCode.BAD_REQUEST, f"Send one {name.decode().title()} header, not {len(found)}."
        )
    return found[0].decode("latin-1") if found else ""


def _host_name(host: str) -> str:
    """The name in a Host header. Raises MeshError (bad_request) where there is none, as RFC 9112,
    3.2 has it."""
    match = HOST.fullmatch(host)
    if match is None:
        raise MeshError(ErrorCode.BAD_REQUEST, "The Host header is no host name with a port.")
    return match[1].strip("[]").lower()


def _is_preflight(method: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser asks what it may send (Fetch standard, CORS-preflight request)."""
    return method == "OPTIONS" and b"access-control-request-method" in headers


def _preflight(headers: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """What pages of allowed origins may send, and of what this one asks for what OpenAI's library
    adds."""
    asked = headers.get(b"access-control-request-headers", b"").decode("latin-1").lower()
    more = [name for name in sorted(_names(asked)) if OF_OPENAI.fullmatch(name)]
    return [
        (name, ", ".join([value.decode(), *more]).encode() if name == ALLOWED else value)
        for name, value in PREFLIGHT
    ]


async def _allow(preflight: list[tuple[bytes, bytes]], send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": preflight})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _refuse(body: Incoming, start: Message, send: Send) -> None:
    """Begin a refusal, once its client listens."""
    await body.read_away()
    await send(start)


def _names(listed: str) -> set[str]:
    return {name.strip() for name in listed.split(",") if name.strip()}
