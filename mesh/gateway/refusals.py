"""What the OpenAPI document says of refusals and failures: each route's, by status, and no other.

The tests watch every answer that they get: one of a status that is not in these tables fails them.
"""

from collections.abc import Callable
from typing import Any, Literal, get_origin

from msgspec import Struct

from mesh.gateway.errors import STATUS, ErrorEvent, dialect, status_of

Json = dict[str, Any]

GENERATE = "/generate"
"""Its refusals are events, like its answers."""

EVERYWHERE = frozenset({400, 401, 403, 404, 413, 503})
"""What any route may answer: the door looks at hosts and lengths (400, 403, 413); whom a trusted
client speaks for has to be one of its users, which the store knows (401, 404, 503)."""

BEGINS = frozenset({422, 429})
"""Of routes that begin an answer: keys that were used otherwise, and limits."""

ANSWERS = BEGINS | {409, 500, 504}
"""Of routes that begin one and wait for it: it may be cancelled, fail, or come too late."""

CHANGES = frozenset({422})
"""Of routes that change what may stand otherwise, or have been changed already, and of those that
make a thing once under a key."""

LEFT_OUT = frozenset({501})
"""Of routes that are there to say what is not."""

LATER = frozenset({429, 503, 504})
"""Where `Retry-After` may say when to ask again: always with 429 and 503, with 504 where no worker
took the request in time."""

_RETRY_AFTER: Json = {
    "description": "Seconds until it is worth asking again.",
    "schema": {"type": "integer", "minimum": 1},
}

MORE: dict[str, frozenset[int]] = {
    "POST /generate": ANSWERS,
    "POST /v1/chat/completions": ANSWERS,
    "POST /v1/completions": ANSWERS,
    "POST /v1/responses": ANSWERS,
    "POST /v1/ask": ANSWERS | {402},
    "POST /api/messages/process": ANSWERS,
    "POST /v1/embeddings": frozenset({429}),
    "POST /tokenize": frozenset({429}),
    "POST /v1/runs": BEGINS,
    "POST /v1/threads/{thread_id}/runs": BEGINS,
    "POST /chats/{chat_id}/assistant_message": BEGINS,
    "POST /chats/{chat_id}/drafts": BEGINS,
    "POST /chats/{chat_id}/messages": BEGINS,
    "POST /chats/{chat_id}/title": BEGINS,
    "POST /chats": CHANGES,
    "POST /chats/{chat_id}/prompter_message": CHANGES,
    "POST /auth/login": frozenset({429}),
    "PUT /account/password": frozenset({429}),
    "PUT /admin/workers": CHANGES | {500},
    "GET /admin/workers": CHANGES | {500},
    "DELETE /admin/workers/{worker_id}": CHANGES | {500},
    "DELETE /account": CHANGES,
    "POST /account/keys": CHANGES,
    "POST /admin/users": CHANGES,
    "DELETE /admin/users/{user_id}": CHANGES,
    "PUT /admin/users/{user_id}/role": CHANGES,
    "POST /cancel": CHANGES,
    "POST /chats/{chat_id}/messages/{message_id}/cancel_token": CHANGES,
    "POST /chats/{chat_id}/shares": CHANGES,
    "DELETE /v1/responses/{response_id}": CHANGES,
    "POST /v1/users": CHANGES,
    "DELETE /v1/users/{user_id}": CHANGES,
    "POST /v1/tools": CHANGES,
    "PUT /v1/tools/{tool_id}": CHANGES,
    "POST /v1/assistants": CHANGES,
    "POST /v1/threads": CHANGES,
    "POST /v1/messages": CHANGES,
    "POST /v1/messages/tools": CHANGES,
    "POST /v1/messages/assistant": CHANGES | {501},
    "POST /v1/threads/{thread_id}/messages": CHANGES,
    "POST /v1/runs/{run_id}/submit_tool_outputs": CHANGES,
    "PUT /v1/runs/{run_id}/status": CHANGES,
    "PUT /v1/actions/{action_id}": CHANGES,
    "GET /configs/builtin_plugins": LEFT_OUT,
    "POST /configs/plugin_config": LEFT_OUT,
    "POST /safety": LEFT_OUT,
    "GET /v1/files": LEFT_OUT,
    "POST /v1/files": LEFT_OUT,
    "GET /v1/vector_stores": LEFT_OUT,
    "POST /v1/vector_stores": LEFT_OUT,
    "GET /v1/containers": LEFT_OUT,
    "POST /v1/containers": LEFT_OUT,
    "POST /v1/actions": LEFT_OUT,
    "DELETE /v1/actions/{action_id}": LEFT_OUT,
    "GET /v1/chat/completions": LEFT_OUT,
    "GET /v1/chat/completions/{completion_id}": LEFT_OUT,
    "POST /v1/chat/completions/{completion_id}": LEFT_OUT,
    "DELETE /v1/chat/completions/{completion_id}": LEFT_OUT,
    "GET /v1/chat/completions/{completion_id}/messages": LEFT_OUT,
    "POST /v1/responses/compact": LEFT_OUT,
    "POST /v1/responses/input_tokens": LEFT_OUT,
    "DELETE /v1/models/{model}": LEFT_OUT,
    "POST /v1/threads/runs": LEFT_OUT,
}
"""What a route may answer besides, by its method and path."""


def statuses(method: str, path: str) -> list[int]:
    """The statuses with which a route may refuse or fail."""
    known = EVERYWHERE | MORE.get(f"{method} {path}", frozenset())
    return sorted(known.intersection(status_of(code, kind_of(path)) for code in STATUS))


def refusals(method: str, path: str) -> Json:
    """The responses of a route that is refused, by status."""
    kind = kind_of(path)
    return {str(status): {"$ref": _reference(kind, status)} for status in statuses(method, path)}


def components(routes: list[tuple[str, str]], schema_of: Callable[[Any], Json]) -> Json:
    """The responses that `refusals` refers to."""
    found: Json = {}
    for kind, status in sorted(
        {(kind_of(path), status) for method, path in routes for status in statuses(method, path)},
        key=lambda each: (each[0].__name__, each[1]),
    ):
        codes = [code.value for code in STATUS if status_of(code, kind) == status]
        name = _reference(kind, status).rpartition("/")[2]
        found[name] = {
            "description": ", ".join(codes),
            "content": _content(kind, schema_of),
        }
        if status in LATER:
            found[name]["headers"] = {"Retry-After": _RETRY_AFTER}
    return found


def kind_of(path: str) -> type[Struct]:
    """The shape of a route's refusals."""
    return ErrorEvent if path == GENERATE else dialect(path)


def _content(kind: type[Struct], schema_of: Callable[[Any], Json]) -> Json:
    if kind is ErrorEvent:
        return {"text/event-stream": {"schema": event((kind,), schema_of)}}
    return {"application/json": {"schema": schema_of(kind)}}


def event(kinds: tuple[Any, ...], schema_of: Callable[[Any], Json]) -> Json:
    """One Server-Sent Event: until OpenAPI 3.2 there is no other word for what a stream is of."""
    words = [schema_of(kind) for kind in kinds if get_origin(kind) is Literal]
    told = [schema_of(kind) for kind in kinds if get_origin(kind) is not Literal]
    data: Json = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"anyOf": told},
    }
    if words:
        data = {"anyOf": [data, *words]}
    return {"type": "object", "properties": {"data": data}, "required": ["data"]}


def _reference(kind: type[Struct], status: int) -> str:
    return f"#/components/responses/{kind.__name__}{status}"
