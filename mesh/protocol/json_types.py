"""The types of JSON Schema. Pure."""


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
