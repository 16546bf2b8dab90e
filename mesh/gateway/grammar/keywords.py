"""The keywords of JSON Schemas: which are known, and what they say, or a refusal. Pure."""

from typing import Any, Never

import msgspec

LONGEST = 1000
"""minLength, maxLength, minItems and maxItems are known up to here."""

Schema = dict[str, Any]

ANNOTATIONS = {  # an $id only of the whole
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "strict",
}
KEYWORDS: dict[str, tuple[str, ...]] = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "minItems", "maxItems"),
    "string": ("minLength", "maxLength", "format"),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    "number": (),
    "boolean": (),
    "null": (),
}
"""The keywords that each type may have."""


class SchemaError(Exception):
    """The schema cannot be kept to. where: the place in it, such as `.properties.age`."""

    def __init__(self, where: str, detail: str) -> None:
        super().__init__(detail)
        self.where = where


def known(kinds: list[str]) -> set[str]:
    """The keywords that a value of any of these types can be kept to.

    Each keyword speaks of one type and is nothing to the others, but for the bounds: they hold for
    every number, and only integers can be kept to them.
    """
    found = {word for kind in kinds for word in KEYWORDS[kind]}
    return found - set(KEYWORDS["integer"]) if "number" in kinds else found


def types(schema: Schema, keys: set[str], where: str) -> list[str]:
    """The types that a schema names, or that its keywords are for."""
    if "type" not in schema:
        found = [kind for kind, words in KEYWORDS.items() if keys & set(words)]
        unknown = min(keys)
        return found or refuse(f"{where}.{unknown}", f"{unknown} is not known here; leave it out.")
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    for kind in kinds:
        if not isinstance(kind, str) or kind not in KEYWORDS:
            refuse(f"{where}.type", f"There is no type {kind!r}.")
    return list(dict.fromkeys(kinds)) or refuse(f"{where}.type", "A schema needs a type.")


def bounds(schema: Schema, low: str, high: str, where: str) -> tuple[int, int | None]:
    """At least and at most how many, by the names of the two keywords; None: without a limit."""
    least, most = whole(schema, low, where), whole(schema, high, where)
    for name, bound in ((low, least), (high, most)):
        if bound is not None and not 0 <= bound <= LONGEST:
            refuse(f"{where}.{name}", f"{name} is known from 0 to {LONGEST}.")
    if most is not None and most < (least or 0):
        refuse(f"{where}.{high}", f"{high} is less than {low}.")
    return least or 0, most


def whole(schema: Schema, name: str, where: str, plus: int = 0) -> int | None:
    """An integer, and `plus`; None where there is none."""
    bound = schema.get(name)
    if bound is None:
        return None
    if isinstance(bound, bool) or not isinstance(bound, int) or abs(bound) > 1 << 62:
        refuse(f"{where}.{name}", f"{name} has to be an integer.")
    return bound + plus


def only(keys: set[str], known: set[str], where: str) -> None:
    """Refuse what stands beside the known keywords."""
    for name in sorted(keys - known):
        refuse(f"{where}.{name}", f"{name} is not known here, or not in this place; leave it out.")


def text(value: object) -> str:
    """A value as it has to be written."""
    return msgspec.json.encode(value).decode()


def refuse(where: str, detail: str) -> Never:
    """Raise SchemaError."""
    raise SchemaError(where, detail)
