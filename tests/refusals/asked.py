"""Sends a row's request, and reads what is said of it in the dialect of its route."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from mesh.gateway.errors import AskError, ErrorBody, OpenAIError, ProcessError, dialect
from mesh.gateway.refusals import GENERATE
from tests.network import PARAMETER
from tests.owned import QUERIES, body_of, filled
from tests.refusals.asking import QUESTION
from tests.refusals.bodies import SAID
from tests.refusals.operations import Operation
from tests.refusals.people import FORWARDED, SCOPES, People
from tests.refusals.rows import NOTHING, Row

GOOD: dict[str, Any] = {
    "POST /api/messages/process": SAID,
    "POST /generate": {"prompt": "hello"},
    "POST /v1/ask": QUESTION,
    "POST /v1/chat/completions": {**SAID, "stream": True},
    "POST /v1/completions": {"prompt": "hello", "stream": True},
    "POST /v1/responses": {"input": "hello"},
    "POST /v1/runs": SAID,
}
"""What is valid on the routes that ask a model."""


@dataclass(frozen=True)
class Told:
    """A refusal. code, param: None where its dialect does not say."""

    status: int
    sentence: str
    code: str | None
    param: str | None


def send(people: People, operation: Operation, row: Row) -> httpx.Response:
    """Its answer; of a stream what comes at once."""
    http = people.by(_who(operation, row))
    path = PARAMETER.sub(lambda found: _in_path(people, operation, row, found[1]), operation.path)
    headers = {} if row.loopback else dict(FORWARDED)
    headers |= filled(dict(row.headers), people.owner)
    query = {} if row.param == "q" else QUERIES.get(operation.name, {})
    query = query | dict(row.query)
    return http.request(
        row.method or operation.method,
        path,
        headers=headers,
        params={name: value.replace("%00", "\0") for name, value in query.items()},
        content=_content(people, operation, row),
    )


def told(operation: Operation, response: httpx.Response) -> Told:
    """What a refusal says."""
    status, data = response.status_code, response.content
    if operation.path == GENERATE:
        event = msgspec.json.decode(data.removeprefix(b"data: "), type=dict[str, str])
        return Told(status, event["error"], None, None)
    match msgspec.json.decode(data, type=dialect(operation.path)):
        case ErrorBody(detail=sentence, code=code, param=param):
            return Told(status, sentence, code.value, param)
        case OpenAIError(error=error):
            return Told(status, error.message, error.code, error.param)
        case AskError(msg=sentence) | ProcessError(error=sentence):
            return Told(status, sentence, None, None)
    raise AssertionError(data)


def _who(operation: Operation, row: Row) -> str:
    """Who asks: whom the route is for, where the row does not say."""
    if row.by == "key":  # one whose scope is another
        needed = operation.rule.needs or frozenset()
        return next(f"{scope} key" for scope in SCOPES if scope not in needed)
    if row.by == "full key" and operation.rule.role != "user":
        return "admin's full key"
    if row.by:
        return row.by
    if not operation.signed_in:
        return "nobody"
    return "owner" if operation.rule.role == "user" else "admin"


def _in_path(people: People, operation: Operation, row: Row, name: str) -> str:
    """What stands in the path for a parameter: what the row says, or the owner's own."""
    if name in row.ids:
        given: str = filled(row.ids[name], people.owner)
        return quote(given, safe="")
    kinds = dict(zip(operation.named("path"), operation.rule.ids, strict=False))
    return people.owner.ids.get(kinds.get(name, ""), name)


def _content(people: People, operation: Operation, row: Row) -> bytes | None:
    """The body: the row's, or one that is valid."""
    if isinstance(row.body, bytes):
        return row.body
    if row.body is not NOTHING:
        return msgspec.json.encode(filled(row.body, people.owner))
    if operation.body is None:
        return None
    good: Any = GOOD.get(operation.name) or body_of(operation.name, people.owner)
    return msgspec.json.encode(good)
