"""Collects the spans of one gateway, and sends them to a collector (OTLP over HTTP, JSON).

Nothing waits for a collector: what it does not take in time is dropped, and said once.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx
import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from mesh import __version__
from mesh.bus.trace import SPAN
from mesh.gateway.metrics.counting import METHODS, NOWHERE
from mesh.gateway.traces.spans import Attribute, Span, http_span, request_spans, span_of
from mesh.protocol import trace_context
from mesh.protocol.events import Cancelled, Claim, Done, Failed, Queued, RunEvent
from mesh.protocol.request import Request
from mesh.protocol.subjects import RunSubject
from mesh.protocol.tool_story import WRITER
from mesh.protocol.trace_context import TraceContext

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two letters to the collector."""

PATIENCE = 10.0
"""Seconds that it may take for one."""

MOST = 10_000
"""Spans that are kept for it, and requests whose end is waited for."""


@dataclass
class _Open:
    """A request without an end: what was asked, its latest claim, and whose that is."""

    request: Request
    claim: Claim | None = None
    worker: str = ""


class Traces:
    """endpoint: the collector's URL without `/v1/traces`, "" for none; name: of this gateway,
    whose own requests are told of; clock: Unix time, by which requests to models go as well."""

    def __init__(self, endpoint: str, name: str, clock: Callable[[], float] = time.time) -> None:
        self._url = f"{endpoint.rstrip('/')}/v1/traces" if endpoint else ""
        self._name = name
        self.clock = clock
        self._spans: deque[Span] = deque(maxlen=MOST)
        self._open: dict[str, _Open] = {}
        self._silent = False

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application, with its HTTP requests told of."""
        return Watched(app, self)

    def span(self, caller: TraceContext) -> TraceContext:
        """What an HTTP request is in its caller's trace: a span of its own, where it is told of."""
        return caller.below() if self._url and caller.sampled else caller

    def http(
        self,
        request_id: str,
        method: str,
        route: str,
        status: int,
        at: float,
        own: TraceContext,
        caller: TraceContext,
    ) -> None:
        """An HTTP request that began at a Unix time was answered to its end."""
        if self._url and _wanted(caller):
            to = self.clock()
            span = http_span(request_id, method, route, status, at, to, own, caller)
            self._spans.append(span)

    def hear(self, where: RunSubject, event: RunEvent) -> None:
        """An event of the log, in its order."""
        if not self._url or where.reply != self._name:
            return
        match event:
            case Queued(request=request) if _wanted(span_of(request)):
                self._open[where.rid] = _Open(request)
                while len(self._open) > MOST:
                    del self._open[next(iter(self._open))]
            case Claim() if where.rid in self._open and where.writer.user != WRITER:
                known = self._open[where.rid]
                known.claim, known.worker = event, where.writer.user
            case Done() | Failed() | Cancelled() if where.rid in self._open:
                known = self._open.pop(where.rid)
                self._spans += request_spans(known.request, known.claim, known.worker, event)

    async def run(self) -> None:
        """Send what there is, until cancelled."""
        if not self._url:
            return
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            while True:
                await asyncio.sleep(EVERY)
                if self._spans:
                    await self._send(http)

    async def _send(self, http: httpx.AsyncClient) -> None:
        spans = [self._spans.popleft() for _ in range(len(self._spans))]
        headers = {"Content-Type": "application/json"}
        try:
            answer = await http.post(self._url, content=_letter(spans, self._name), headers=headers)
            answer.raise_for_status()
            self._silent = False
        except httpx.HTTPError as error:
            if not self._silent:
                log.warning("The collector of traces does not take them: %s", error)
            self._silent = True


def _wanted(span: TraceContext) -> bool:
    """Whether spans below one are told of: not if its caller says that it tells of none."""
    return span.sampled or not span


def _letter(spans: list[Span], gateway: str) -> bytes:
    about = {
        "service.name": "mesh-gateway",
        "service.version": __version__,
        "service.instance.id": gateway,
    }
    resource = [Attribute(key, {"stringValue": value}) for key, value in about.items()]
    scope = {"scope": {"name": "mesh", "version": __version__}, "spans": spans}
    told = {"resource": {"attributes": resource}, "scopeSpans": [scope]}
    return msgspec.json.encode({"resourceSpans": [told]})


class Watched:
    """ASGI middleware: an HTTP request is told of when its answer has ended.

    Where its caller told of a trace, what is done for it stands there, told of or not.
    """

    def __init__(self, app: ASGIApp, traces: Traces) -> None:
        self._app = app
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        at, status = self._traces.clock(), 500
        caller = _caller(scope)
        own = self._traces.span(caller)
        SPAN.set(own)

        def send_noticed(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        try:
            await self._app(scope, receive, send_noticed)
        finally:
            request_id = scope.get("state", {}).get("request_id", "")
            method = scope["method"] if scope["method"] in METHODS else "(other)"
            route = scope.get("path_template") or NOWHERE
            if request_id:
                self._traces.http(request_id, method, route, status, at, own, caller)


def _caller(scope: Scope) -> TraceContext:
    """The span of whoever sent an HTTP request, as its headers say it."""
    parents, states = (
        [value.decode("latin-1") for header, value in scope["headers"] if header == name]
        for name in (b"traceparent", b"tracestate")
    )
    return trace_context.read(parents, states)
