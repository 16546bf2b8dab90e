"""What is said of an id in the path that is of nothing, or of somebody else's: for each route."""

from dataclasses import replace

from mesh.protocol.errors import ErrorCode
from tests.refusals.operations import Operation
from tests.refusals.rows import Row, refused

NOTHING = "f" * 32
"""An id of nothing."""

RUN = ("There is no run '…' here, or no longer.", "run_id")
ACTION = ("There is no action '…' here.", "action_id")
RESPONSE = ("There is no response '…' here, or no longer.", "response_id")

SENTENCES: dict[str, tuple[str, str | None]] = {
    "chat": ("There is no such chat.", None),
    "answer": ("There is no such message.", None),
    "message": ("There is no such message.", None),
    "share": ("There is no such link.", None),
    "key": ("There is no such key.", None),
    "assistant": ("There is no such assistant.", None),
    "tool": ("There is no such tool.", None),
    "tool_name": ("There is no such tool.", None),
    "thread": ("There is no such thread.", None),
    "request": ("There is no such request.", None),
    "anybody": ("There is no such user.", None),
    "run": RUN,
    "action": ACTION,
    "response": RESPONSE,
}
"""The sentence, and the parameter that is named, by the kind of the id."""

NAMED = ("There is no user '…'; `mesh user list` shows them.", None)
NO_USER = ("There is no such user.", None)
ONESELF = ("There is no such user.", "user_id")
BY_LOG = ("There is no such message.", None)

ELSE: dict[tuple[str, str], tuple[str, str | None]] = {
    ("DELETE /admin/users/{user_id}", "user_id"): NAMED,
    ("GET /admin/users/{user_id}/limits", "user_id"): NAMED,
    ("PUT /admin/users/{user_id}/limits", "user_id"): NAMED,
    ("PUT /admin/users/{user_id}/password", "user_id"): NAMED,
    ("PUT /admin/users/{user_id}/role", "user_id"): NAMED,
    ("DELETE /admin/refresh_tokens/{user_id}", "user_id"): NO_USER,
    ("GET /v1/users/{user_id}", "user_id"): ONESELF,
    ("PUT /v1/users/{user_id}", "user_id"): ONESELF,
    ("DELETE /v1/users/{user_id}", "user_id"): ONESELF,
    ("GET /v1/users/{user_id}/assistants", "user_id"): ONESELF,
    ("GET /v1/users/{user_id}/threads", "user_id"): ONESELF,
}
"""Where a route says it otherwise."""

BY_THE_LOG = ("/events", "/cancel", "/cancel_token")
"""How the routes end that look for an answer in the log first: in another chat it is none."""


def rows(operation: Operation) -> list[tuple[Row, str]]:
    """A row for each id in the path, and of what kind that is."""
    found = []
    for name, kind in zip(operation.named("path"), operation.rule.ids, strict=False):
        told = ELSE.get((operation.name, name)) or SENTENCES.get(kind)
        if told is None or operation.path in _NOT_LOOKED_AT or not operation.rule.owned:
            continue
        if kind == "chat" and operation.path.endswith(BY_THE_LOG):
            told = BY_LOG
        row = refused(
            ErrorCode.NOT_FOUND,
            told[0],
            param=told[1],
            what=f"{_a(name)} of nothing, or of somebody else's",
        )
        if operation.rule.role != "user" or kind == "anybody":  # who may name everybody
            row = replace(row, what=f"{_a(name)} of nobody")
        found.append((replace(row, ids={name: NOTHING}), kind))
    return found


def _a(name: str) -> str:
    """A parameter with its article."""
    return f"an `{name}`" if name.startswith("a") else f"a `{name}`"


_NOT_LOOKED_AT = ("/v1/models/{model}", "/workers/{name}/drain", "/admin/workers/{worker_id}")
"""Whose rows are written down with the rest of the route's own."""
