"""For which HTTP request a task works, so that the lines it logs say so.

A task that is begun within another works for the same one. Knows nothing of messages: whoever
takes one up says whose it is.
"""

from contextvars import ContextVar

TRACE: ContextVar[str] = ContextVar("trace", default="")
"""The request's `x-request-id`, which travels with it as `Request.trace`; "": for none."""
