"""What a gateway knows of requests, as OpenTelemetry's spans. Pure: nothing is sent from here.

Shapes after OTLP 1.x in JSON. A trace is one HTTP request, its id made of `x-request-id`; below
it are the requests to models that it led to, in steps: queue, prefill, generate, by the times that
the engine's worker gives. No span tells who asked, or what.
"""

from hashlib import sha256
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from mesh.protocol.messages import Cancelled, Claim, Done, End, Failed, Request

SERVER, INTERNAL, CLIENT = 2, 1, 3
OK, ERROR = 1, 2

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


def trace_of(request_id: str) -> str:
    return _hex(request_id, 32)


def http_span(request_id: str, method: str, route: str, status: int, at: float, to: float) -> Span:
    """An HTTP request. at, to: Unix time of its beginning, and of the end of its answer."""
    return _span(
        request_id,
        "http",
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
    )


def request_spans(request: Request, claim: Claim | None, worker: str, end: End) -> list[Span]:
    """A request to a model, and its steps as far as it came. worker: who claimed it last."""
    timings, trace = end.timings, request.trace or request.rid
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
    above, name = "http" if request.trace else "", f"chat {request.model}"
    times = request.created, last
    found = [_span(trace, request.rid, name, times, about, trouble, CLIENT, above)]
    steps = [("queue", request.created, queued)]
    if timings.first_token is not None:
        steps += [("prefill", queued, first), ("generate", first, last)]
    for name, at, to in steps:
        about = {"mesh.rid": request.rid, "mesh.worker": worker}
        found.append(
            _span(trace, f"{request.rid} {name}", name, (at, to), about, parent=request.rid)
        )
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
    """trace: the HTTP request's id; id, parent: what the span is of within it, "": none."""
    return Span(
        trace_id=trace_of(trace),
        span_id=_hex(f"{trace} {id}", 16),
        name=name,
        kind=kind,
        start_time_unix_nano=_nano(times[0]),
        end_time_unix_nano=_nano(times[1]),
        attributes=[Attribute(key, _valued(value)) for key, value in about.items()],
        status=State(ERROR, trouble) if trouble else State(OK),
        parent_span_id=_hex(f"{trace} {parent}", 16) if parent else UNSET,
    )


def _valued(value: Value) -> dict[str, Any]:
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def _nano(at: float) -> str:
    return str(int(at * 1e9))


def _hex(text: str, length: int) -> str:
    return sha256(text.encode()).hexdigest()[:length]
