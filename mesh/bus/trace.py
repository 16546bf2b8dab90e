"""For which HTTP request a task works, so that the lines it logs say so.

A task that is begun within another works for the same one. From service to service the id travels
as `Request.trace` and as a header of what they ask one another; whoever takes one up says whose it
is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

TRACE: ContextVar[str] = ContextVar("trace", default="")
"""The request's `x-request-id`; "": for none."""

HEADER = "x-request-id"


def asked_for() -> dict[str, str] | None:
    """The header of a question to another service: for which HTTP request it is asked."""
    trace = TRACE.get()
    return {HEADER: trace} if trace else None


@contextmanager
def working_for(trace: str) -> Iterator[None]:
    """What is logged, and what is begun, meanwhile is for an HTTP request; "": for none."""
    before = TRACE.set(trace)
    try:
        yield
    finally:
        TRACE.reset(before)
