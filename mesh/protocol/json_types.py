"""The types of JSON Schema, and its references. Pure."""

from urllib.parse import unquote


def is_of(value: object, kind: str) -> bool:
    """Whether a value of JSON is of a type; a number without a fraction is an integer, as in the
    standard. What is not a type is none of any value."""
    match value:
        case bool():
            return kind == "boolean"
        case int():
            return kind in ("integer", "number")
        case float():
            return kind == "number" or (kind == "integer" and value.is_integer())
        case str():
            return kind == "string"
        case None:
            return kind == "null"
        case list():
            return kind == "array"
    return kind == "object"


def steps(reference: str) -> list[str]:
    """The names through which a reference leads, from the whole schema: `#/$defs/a%20b`."""
    names = unquote(reference).split("/")[1:]
    return [name.replace("~1", "/").replace("~0", "~") for name in names]
