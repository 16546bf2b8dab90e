"""Random JSON Schemas of the keywords that the mesh can keep to, with a seed; and what holds a
value against one, by a validator of others."""

from random import Random
from typing import Any

import jsonschema  # type: ignore[import-untyped]

Schema = dict[str, Any]

FORMATS = ("date", "time", "date-time", "uuid", "email")


def check(value: object, asked: Schema) -> None:
    """Raises jsonschema.ValidationError for a value that is not valid; formats count, too."""
    formats = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.validate(value, asked, format_checker=formats)


def schema(random: Random, depth: int = 3) -> Schema:
    """A schema that some value is valid under, nested at most so deep."""
    kinds = [_string, _integer, _enum, _plain]
    if depth:
        kinds += [_object, _object, _array, _choice]
    return random.choice(kinds)(random, depth)


def _string(random: Random, depth: int) -> Schema:
    if random.random() < 0.3:
        return {"type": "string", "format": random.choice(FORMATS)}
    least = random.randint(0, 4)
    most = least + random.randint(0, 6)
    return {"type": "string", "minLength": least, "maxLength": most}


def _integer(random: Random, depth: int) -> Schema:
    low = random.randint(-2000, 2000)
    found: Schema = {"type": "integer", "minimum": low}
    bound = random.choice(["maximum", "exclusiveMaximum"])
    return found | {bound: low + random.randint(1, 3000)}


def _enum(random: Random, depth: int) -> Schema:
    values = ["red", 7, None, True, 'a "b"', [1], {"a": "ü"}]
    return {"enum": random.sample(values, random.randint(1, 4))}


def _plain(random: Random, depth: int) -> Schema:
    return random.choice(
        [{"type": "number"}, {"type": ["boolean", "null"]}, {"const": "x"}, {"type": "boolean"}]
    )


def _object(random: Random, depth: int) -> Schema:
    names = random.sample(["a", "name", "x y", "ä", 'q"', "count"], random.randint(1, 4))
    required = [name for name in names if random.random() < 0.6]
    return {
        "type": "object",
        "properties": {name: schema(random, depth - 1) for name in names},
        "required": required,
        "additionalProperties": random.random() < 0.5,
    }


def _array(random: Random, depth: int) -> Schema:
    least = random.randint(0, 2)
    return {
        "type": "array",
        "items": schema(random, depth - 1),
        "minItems": least,
        "maxItems": least + random.randint(0, 3),
    }


def _choice(random: Random, depth: int) -> Schema:
    return {"anyOf": [schema(random, depth - 1) for _ in range(random.randint(1, 3))]}


def documented(random: Random) -> Schema:
    """A schema of any of the keywords that docs/openai.md names, those of `schema` among them."""
    return random.choice([schema, schema, _annotated, _all_of, _referring, _free, _bounded])(random)


def _annotated(random: Random) -> Schema:
    words = {"title": "T", "description": "What it is.", "default": None, "examples": [1]}
    return schema(random) | {name: words[name] for name in random.sample(list(words), 2)}


def _all_of(random: Random) -> Schema:
    return {"allOf": [schema(random)]}


def _referring(random: Random) -> Schema:
    """One that names its parts, and may refer to itself."""
    node: Schema = {
        "type": "object",
        "properties": {"value": {"$ref": "#/$defs/value"}, "next": {"$ref": "#/$defs/node"}},
        "required": ["value"],
        "additionalProperties": False,
    }
    ends = {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}
    if random.random() < 0.5:
        node["properties"]["next"], node["required"] = ends, ["value", "next"]
    return {"$ref": "#/$defs/node", "$defs": {"node": node, "value": schema(random, 1)}}


def _free(random: Random) -> Schema:
    """Keys of the model's own choice."""
    return random.choice([{"type": "object"}, {"type": ["string", "integer", "null"]}, {}])


def _bounded(random: Random) -> Schema:
    low = random.randint(-100, 100)
    numbers: Schema = {"type": "integer", "exclusiveMinimum": low, "maximum": low + 5}
    return {"type": "array", "items": numbers, "minItems": 1, "maxItems": 4}


BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def several_types(random: Random) -> Schema:
    """One of several types, with keywords of any of them, and often with bounds of numbers."""
    words: Schema = {
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": {"type": "null"},
        "items": {"type": "boolean"},
        "minItems": 1,
        "maxItems": 2,
        "minLength": 2,
        "maxLength": 3,
    }
    low = random.randint(-30, 30)
    numbers = dict(zip(BOUNDS, (low, low + 20, low + 1, low + 15), strict=True))
    kinds = ["object", "array", "string", "integer", "number", "boolean", "null"]
    found: Schema = {"type": random.sample(kinds, random.randint(2, 4))}
    for source, most in ((words, len(words)), (numbers, 2)):
        names = random.sample(list(source), random.randint(0, most))
        found |= {name: source[name] for name in names}
    return found


UNDOCUMENTED: dict[str, Any] = {
    "pattern": "^a+$",
    "multipleOf": 3,
    "uniqueItems": True,
    "patternProperties": {"^a": {}},
    "minProperties": 1,
    "oneOf": [{"type": "string"}, {"type": "null"}],
    "not": {"type": "null"},
    "if": {"type": "string"},
    "contains": {"type": "string"},
    "prefixItems": [{"type": "string"}],
    "dependentRequired": {"a": ["b"]},
    "propertyNames": {"maxLength": 3},
}
"""Keywords of JSON Schema that nobody can be held to here."""
