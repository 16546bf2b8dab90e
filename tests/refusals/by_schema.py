"""What routes refuse by what the OpenAPI document says that they take: a new field is tried by
being there. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mesh.protocol.errors import ErrorCode
from tests.refusals.groups import Group, Shared, each, same
from tests.refusals.operations import NO_WORD, Operation, choices
from tests.refusals.people import USED
from tests.refusals.rows import Row, bad, refused

DEPTH = 100_000
DEEP = b'{"x":' + b"[" * DEPTH + b"]" * DEPTH + b"}"
SAID_OTHERWISE = {
    ("POST /api/messages/process", "messages"),
    ("POST /v1/runs", "response_format"),
    *(
        ("POST /v1/runs", name)
        for name in (
            "assistant_id",
            "instructions",
            "additional_instructions",
            "additional_messages",
        )
    ),
}
"""Fields for which a route has a row of its own, or needs others first."""

NO_JSON = "The body is not valid JSON in UTF-8: …."


def _missing(operation: Operation) -> list[Row]:
    """The first of the fields that are needed: the others are looked at once that is there."""
    return [
        bad(name, f"The parameter {name!r} is needed here and missing.", {})
        for name in operation.needed[:1]
    ]


def _unknown(operation: Operation) -> list[Row]:
    detail = "There is no parameter 'nonsense' here; leave it out."
    return [bad("nonsense", detail, {"nonsense": 1})] if operation.strict else []


def _wrong_types(operation: Operation) -> Iterator[tuple[str, Any]]:
    for name, value in operation.wrong_types():
        if (operation.name, name) not in SAID_OTHERWISE:
            yield name, value


def _deep(operation: Operation) -> list[Row]:
    """A name that is not there is refused before what it has is looked at."""
    detail = "There is no parameter 'x' here; leave it out."
    one = bad("x", detail, DEEP) if operation.strict else bad(None, NO_JSON, DEEP)
    return [replace(one, what="100,000 brackets")]


def _beyond(operation: Operation) -> Iterator[tuple[str, Any]]:
    return (
        (name, value)
        for name, value in operation.beyond()
        if value != NO_WORD and (operation.name, name) not in SAID_OTHERWISE
    )


def _no_words(operation: Operation) -> Iterator[tuple[str, Any]]:
    for name, value in operation.beyond():
        if value == NO_WORD and (operation.name, name) not in SAID_OTHERWISE:
            yield name, value


BODY = Group(
    "Every route with a body",
    "its body",
    "Those that have a `requestBody` in the OpenAPI document. An empty body counts as `{}`.",
    lambda operation: operation.body is not None,
    (
        same(bad(None, NO_JSON, b"hello")),
        same(bad(None, NO_JSON, b'{"cut o')),
        same(bad(None, NO_JSON, b'{"x": "\xff\xfe"}', "bytes that are no UTF-8")),
        same(bad(None, NO_JSON, b'{"\\ud800": 1}')),
        Shared(bad(None, NO_JSON, DEEP, "100,000 brackets, one in the other"), _deep),
        same(bad(None, "Expected `object`, got `array`.", [])),
        same(bad(None, "Expected `object`, got `int`.", 7)),
        same(bad(None, "Expected `object`, got `null`.", None)),
        each(
            bad(
                "",
                "Expected `…`, got `…`.",
                what="a field of another type than the document says",
            ),
            _wrong_types,
        ),
        Shared(
            bad(
                "",
                "The parameter '…' is needed here and missing.",
                what="a field that is needed left out",
            ),
            _missing,
        ),
        each(
            bad("", "Expected `…` ….", what="a number, a text or a list beyond its bounds"),
            _beyond,
        ),
        each(
            bad("", "Invalid enum value '…'.", what="a word that is none of those there are"),
            _no_words,
        ),
        Shared(
            bad(
                "",
                "There is no parameter '…' here; leave it out.",
                what="a field that is not there, where the document has `additionalProperties: "
                "false`",
            ),
            _unknown,
        ),
    ),
)


def _words(operation: Operation) -> Iterator[Row]:
    """A word for each parameter that is a number, or yes or no, or one of other words."""
    for name, schema in operation.query:
        for part in choices(schema, operation.components):
            if part.get("type") in ("integer", "number", "boolean") or "enum" in part:
                yield bad(name, f"{name}: ….", query={name: "nonsense"})


def _bounds(operation: Operation) -> Iterator[Row]:
    """A number that is just too small, and one that is just too large."""
    for name, schema in operation.query:
        for part in choices(schema, operation.components):
            for bound, by in (("minimum", -1), ("maximum", 1)):
                if bound in part:
                    wrong = {name: str(part[bound] + by)}
                    yield bad(name, f"{name}: Expected `…` ….", query=wrong)


QUERY = Group(
    "Every route with a query",
    "its query",
    "Those that have parameters `in: query` in the OpenAPI document.",
    lambda operation: bool(operation.query),
    (
        Shared(
            bad(
                "",
                "NAME: ….",
                what="a word for a number, for `true` or `false`, or for one of some other words",
            ),
            _words,
        ),
        Shared(bad("", "NAME: Expected `…` ….", what="a number beyond its bounds"), _bounds),
    ),
)

STRICT_QUERY = Group(
    "Every route below `/account` and `/admin`",
    "other queries",
    "A filter that is spelled wrongly would be none.",
    lambda operation: operation.path.split("/")[1] in ("account", "admin"),
    (
        same(
            bad(
                "nonsense",
                "There is no query parameter 'nonsense' here; it takes ….",
                query={"nonsense": "1"},
            )
        ),
    ),
)

KEYS_OF_THEIR_OWN = (
    "/chats",
    "/chats/{chat_id}/prompter_message",
    "/v1/assistants",
    "/v1/messages",
    "/v1/messages/assistant",
    "/v1/messages/tools",
    "/v1/threads",
    "/v1/threads/{thread_id}/messages",
)

REPEATABLE = Group(
    "Every route with an `Idempotency-Key`",
    "its key",
    "Those that have it `in: header` in the OpenAPI document.",
    lambda operation: "Idempotency-Key" in operation.named("header"),
    (
        same(
            bad(
                "Idempotency-Key",
                "An Idempotency-Key has at most 255 characters; shorten it.",
                headers={"Idempotency-Key": "x" * 256},
                what="one of 256 characters",
            )
        ),
        same(
            refused(
                ErrorCode.CONFLICT,
                "This idempotency key was used with another body or on another route; use a new "
                "key.",
                headers={"Idempotency-Key": USED},
                what="one that was used for something else; what is made, and what a person says, "
                "has keys of its own",
            ),
            lambda operation: operation.path not in KEYS_OF_THEIR_OWN,
        ),
    ),
)

RESUMABLE = Group(
    "Every route with a `Last-Event-ID`",
    "`Last-Event-ID`",
    "Those that have it `in: header` in the OpenAPI document.",
    lambda operation: "Last-Event-ID" in operation.named("header"),
    (
        same(
            bad(
                "Last-Event-ID",
                "Last-Event-ID is the number that stood in the last event's id line.",
                headers={"Last-Event-ID": "x"},
            )
        ),
    ),
)

GROUPS = (BODY, QUERY, STRICT_QUERY, REPEATABLE, RESUMABLE)
