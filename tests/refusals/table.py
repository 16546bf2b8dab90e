"""The tables of all routes: what each refuses. `docs/refusals.md` is made of them. Pure."""

from tests.refusals import (
    accounts,
    asking,
    by_schema,
    chats,
    everywhere,
    missing,
    openai_routes,
    runs,
    threads,
)
from tests.refusals.groups import Group
from tests.refusals.operations import Operation
from tests.refusals.rows import Part, Row, Table

GROUPS = (everywhere.EVERY, everywhere.SIGNED_IN, *by_schema.GROUPS)

OWN: dict[str, Table] = {
    **accounts.ROWS,
    **chats.ROWS,
    **asking.ROWS,
    **openai_routes.ROWS,
    **threads.ROWS,
    **runs.ROWS,
}
"""What a route refuses besides what many do."""

NO_INPUT = frozenset(
    {
        "GET /",
        "GET /account",
        "DELETE /account",
        "GET /account/export",
        "GET /account/keys",
        "GET /account/limits",
        "GET /admin/workers",
        "GET /auth/check",
        "GET /auth/providers",
        "DELETE /auth/sessions",
        "POST /auth/ticket",
        "PUT /chats/hide_all",
        "GET /configs/builtin_plugins",
        "GET /configs/model_configs",
        "POST /configs/plugin_config",
        "GET /metrics",
        "GET /openapi.json",
        "POST /safety",
        "POST /v1/actions",
        "GET /v1/containers",
        "POST /v1/containers",
        "GET /v1/files",
        "POST /v1/files",
        "GET /v1/health",
        "GET /v1/chat/completions",
        "POST /v1/responses/compact",
        "POST /v1/responses/input_tokens",
        "POST /v1/threads/runs",
        "GET /v1/models",
        "GET /v1/vector_stores",
        "POST /v1/vector_stores",
        "GET /workers",
        "GET /workers/sessions",
    }
)
"""The routes that take nothing: no body, no query, nothing in the path or the headers."""

ALL_SHARED = frozenset(
    {
        "GET /mesh/events",
        "GET /workers/events",
    }
)
"""Those that refuse nothing of their own: what they take, the groups have."""


def groups_of(operation: Operation) -> list[Group]:
    """The groups whose rows a route has."""
    return [group for group in GROUPS if group.of(operation)]


def own(operation: Operation) -> list[Row | Part]:
    """What a route refuses of its own, and the parts that some others have too."""
    ids = [row for row, _ in missing.rows(operation)]
    return [*OWN.get(operation.name, ()), *ids]


def parts(operation: Operation) -> list[Part]:
    return [one for one in own(operation) if isinstance(one, Part)]


def alone(operation: Operation) -> list[Row]:
    """The rows that a route has for itself."""
    return [one for one in own(operation) if isinstance(one, Row)]


def of_parts(operation: Operation) -> list[Row]:
    return [row for part in parts(operation) for row in part.rows]


def shared(operation: Operation) -> list[Row]:
    """The requests that the groups' rows are to a route, each once."""
    return [
        row for group in groups_of(operation) for one in group.shared for row in one.rows(operation)
    ]
