"""What the OpenAPI document says of refusals and failures: each route's, closed, by status.

Any route may be refused in any of these ways, and in no other.
"""

from collections.abc import Callable
from typing import Any, Literal, get_origin

from msgspec import Struct

from mesh.gateway.errors import STATUS, ErrorEvent, dialect

Json = dict[str, Any]

GENERATE = "/generate"
"""Its refusals are events, like its answers."""


def refusals(path: str) -> Json:
    """The responses of a route that is refused, by status."""
    kind = _kind(path)
    return {str(status): {"$ref": _reference(kind, status)} for status in _statuses()}


def components(paths: list[str], schema_of: Callable[[Any], Json]) -> Json:
    """The responses that `refusals` refers to."""
    found: Json = {}
    for kind in dict.fromkeys(map(_kind, paths)):
        content = _content(kind, schema_of)
        for status in _statuses():
            codes = [code.value for code, its in STATUS.items() if its == status]
            name = _reference(kind, status).rpartition("/")[2]
            found[name] = {"description": ", ".join(codes), "content": content}
    return found


def _statuses() -> list[int]:
    return sorted(set(STATUS.values()))


def _kind(path: str) -> type[Struct]:
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
