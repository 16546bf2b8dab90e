"""What a gateway knows of requests, as OpenTelemetry's spans. Pure: nothing is sent from here.

Shapes after OTLP 1.x in JSON. An HTTP request is a span of its caller's trace, where that sends
`traceparent`, or a trace of its own whose ids are made of `x-request-id`; below it are the requests
to models that it led to, in steps: queue, prefill, generate, by the times that the engine's worker
gives. No span tells who asked, or what.
"""

from hashlib import sha256
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from mesh.protocol import trace_context
from mesh.protocol.events import Cancelled, Claim, Done, End, Failed
from mesh.protocol.request import Request
from mesh.protocol.trace_context import NO_TRACE, TraceContext

SERVER, INTERNAL, CLIENT = 2, 1, 3
OK, ERROR = 1, 2

HTTP = "http"
"""What the span of an HTTP request is of."""

Value = str | int


class Attribute(Struct):
    key: str
    value: dict[str, Any]


class State(Struct):
    """code: OK or ERROR; message: why not."""

    code: int
    message: str | UnsetType = UNSET


class Span(Struct, rename="camel"):
    """Ids in hex, times in nanoseconds since 1970 as decimal text."""

    trace_id: str
    span_id: str
    name: str
    kind: int
    start_time_unix_nano: str
    end_time_unix_nano: str
    attributes: list[Attribute]
    status: State
    parent_span_id: str | UnsetType = UNSET
    trace_state: str | UnsetType = UNSET


def http_span(
    request_id: str,
    method: str,
    route: str,
    status: int,
    at: float,
    to: float,
    own: TraceContext = NO_TRACE,
    caller: TraceContext = NO_TRACE,
) -> Span:
    """An HTTP request. at, to: Unix time of its beginning, and of the end of its answer; own: the
    span that it is, where its caller told of one."""
    made = _span(
        own.trace or trace_of(request_id),
        own.span or _id(request_id, HTTP),
        f"{method} {route}",
        (at, to),
        {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "mesh.request_id": request_id,
        },
        trouble=f"status {status}" if status >= 500 else "",
        kind=SERVER,
        parent=caller.span,
    )
    made.trace_state = own.tracestate or UNSET
    return made


def span_of(request: Request) -> TraceContext:
    """The span in its caller's trace that a request to a model stands below, if it is in one."""
    return trace_context.read([request.traceparent], [request.tracestate])


def request_spans(request: Request, claim: Claim | None, worker: str, end: End) -> list[Span]:
    """A request to a model, and its steps as far as it came. worker: who claimed it last."""
    timings, named, own = end.timings, request.trace or request.rid, span_of(request)
    trace = own.trace or trace_of(named)
    above = own.span or (_id(named, HTTP) if request.trace else "")
    queued = request.created + timings.queue
    first = queued + (timings.first_token or 0.0)
    last = first + timings.generate
    about: dict[str, Value] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": request.model,
        "gen_ai.usage.input_tokens": end.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": end.usage.completion_tokens,
        "mesh.rid": request.rid,
        "mesh.worker": worker,
        "mesh.attempts": claim.n if claim is not None else 0,
        "mesh.end": _word(end),
    }
    trouble = end.code.value if isinstance(end, Failed) else ""
    id, name = _id(named, request.rid), f"chat {request.model}"
    times = request.created, last
    found = [_span(trace, id, name, times, about, trouble, CLIENT, above)]
    steps = [("queue", request.created, queued)]
    if timings.first_token is not None:
        steps += [("prefill", queued, first), ("generate", first, last)]
    for name, at, to in steps:
        about = {"mesh.rid": request.rid, "mesh.worker": worker}
        step = _id(named, f"{request.rid} {name}")
        found.append(_span(trace, step, name, (at, to), about, parent=id))
    for each in found:
        each.trace_state = own.tracestate or UNSET
    return found


def _word(end: End) -> Literal["done", "failed", "cancelled"]:
    match end:
        case Done():
            return "done"
        case Cancelled():
            return "cancelled"
    return "failed"


def _span(
    trace: str,
    id: str,
    name: str,
    times: tuple[float, float],
    about: dict[str, Value],
    trouble: str = "",
    kind: int = INTERNAL,
    parent: str = "",
) -> Span:
    """trace, id, parent: in hex digits; parent "": none."""
    return Span(
        trace_id=trace,
        span_id=id,
        name=name,
        kind=kind,
        start_time_unix_nano=_nano(times[0]),
        end_time_unix_nano=_nano(times[1]),
        attributes=[Attribute(key, _valued(value)) for key, value in about.items()],
        status=State(ERROR, trouble) if trouble else State(OK),
        parent_span_id=parent or UNSET,
    )


def _valued(value: Value) -> dict[str, Any]:
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def _nano(at: float) -> str:
    return str(int(at * 1e9))


def trace_of(request_id: str) -> str:
    """The id of a trace that no caller has named."""
    return _hex(request_id, 32)


def _id(request_id: str, what: str) -> str:
    """The id of the span of something that an HTTP request led to."""
    return _hex(f"{request_id} {what}", 16)


def _hex(text: str, length: int) -> str:
    return sha256(text.encode()).hexdigest()[:length]
