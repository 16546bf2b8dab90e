"""For which HTTP request a task works, so that the lines it logs say so, and in which trace.

A task that is begun within another works for the same one. From service to service the id travels
as `Request.trace` and as a header of what they ask one another; whoever takes one up says whose it
is. So does the place in its caller's trace, `Request.traceparent` and the headers of W3C's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from mesh.protocol.trace_context import NO_TRACE, TraceContext

TRACE: ContextVar[str] = ContextVar("trace", default="")
"""The request's `x-request-id`; "": for none."""

SPAN: ContextVar[TraceContext] = ContextVar("span", default=NO_TRACE)
"""The span of that request within its caller's trace."""

HEADER = "x-request-id"


def asked_for() -> dict[str, str] | None:
    """The headers of a question to another service: for which HTTP request it is asked."""
    trace = TRACE.get()
    headers = {HEADER: trace} if trace else {}
    return headers | SPAN.get().headers() or None


@contextmanager
def working_for(trace: str, span: TraceContext = NO_TRACE) -> Iterator[None]:
    """What is logged, and what is begun, meanwhile is for an HTTP request; "": for none."""
    before, above = TRACE.set(trace), SPAN.set(span)
    try:
        yield
    finally:
        TRACE.reset(before)
        SPAN.reset(above)
