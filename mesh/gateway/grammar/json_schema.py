"""JSON Schema to grammar: every text of the grammar is valid under the schema.

The other way round it need not be: objects have the properties that are listed, in that order,
and no others. A keyword that could not be kept to is refused; docs/openai.md lists those known.
"""

from typing import Any, Never

import msgspec

from mesh.gateway.grammar.build import Builder, TooLarge
from mesh.gateway.grammar.json_text import Json
from mesh.gateway.grammar.numbers import between
from mesh.gateway.grammar.sound import is_sound
from mesh.protocol.grammar import Alternative, Grammar

LONGEST = 1000
"""minLength, maxLength, minItems and maxItems are known up to here."""

Schema = dict[str, Any]

_ANNOTATIONS = {
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


def grammar(schema: object) -> Grammar:
    """The grammar of the JSON texts of a schema. Raises SchemaError."""
    builder = Builder()
    made = builder.grammar((rule(builder, schema),))
    if not is_sound(made):
        raise SchemaError("", "The schema refers to itself so that no value could be valid.")
    return made


def rule(builder: Builder, schema: object) -> int:
    """A rule for the JSON texts of a schema. Raises SchemaError."""
    try:
        return _Compiler(builder, schema).value(schema, "")
    except TooLarge:
        raise SchemaError("", "The schema is too large; make it smaller.") from None
    except RecursionError:
        raise SchemaError("", "The schema is nested too deeply.") from None


class _Compiler:
    def __init__(self, builder: Builder, root: object) -> None:
        self._b = builder
        self._json = Json(builder)
        self._root = root
        self._referred: dict[str, int] = {}

    def value(self, schema: object, where: str) -> int:
        """A rule for a schema at a place."""
        if schema is True:
            return self._json.any_value()
        if not isinstance(schema, dict):
            _refuse(where, "A schema is an object, or true.")
        keys = schema.keys() - _ANNOTATIONS
        if not keys:
            return self._json.any_value()
        if "$ref" in keys:
            _only(keys, {"$ref"}, where)
            return self._reference(schema["$ref"], f"{where}.$ref")
        if keys & {"enum", "const"}:
            _only(keys, {"enum", "const", "type"}, where)
            return self._constants(schema, where)
        for choice in ("anyOf", "allOf"):
            if choice in keys:
                _only(keys, {choice}, where)
                return self._choice(choice, schema[choice], f"{where}.{choice}")
        return self._typed(schema, keys, where)

    def _typed(self, schema: Schema, keys: set[str], where: str) -> int:
        types = _types(schema, keys, where)
        known = {"type"}.union(*(KEYWORDS[kind] for kind in types))
        _only(keys, known, where)
        rules: list[Alternative] = [(self._of_type(kind, schema, where),) for kind in types]
        return self._b.rule(*rules)

    def _of_type(self, kind: str, schema: Schema, where: str) -> int:
        match kind:
            case "object":
                return self._object(schema, where)
            case "array":
                least, most = _bounds(schema, "minItems", "maxItems", where)
                item = self.value(schema.get("items", True), f"{where}.items")
                return self._json.array(item, least, most)
            case "string":
                return self._string(schema, where)
            case "integer":
                return self._integer(schema, where)
            case "number":
                return self._json.number()
            case "boolean":
                return self._b.rule(("true",), ("false",))
        return self._b.rule(("null",))

    def _string(self, schema: Schema, where: str) -> int:
        least, most = _bounds(schema, "minLength", "maxLength", where)
        if "format" not in schema:
            return self._json.string(least, most)
        made = self._json.formatted(str(schema["format"]))
        if made is None or (least, most) != (0, None):
            _refuse(f"{where}.format", "This format is not known here, or not with a length.")
        return made

    def _integer(self, schema: Schema, where: str) -> int:
        lows = [_whole(schema, "minimum", where), _whole(schema, "exclusiveMinimum", where, 1)]
        highs = [_whole(schema, "maximum", where), _whole(schema, "exclusiveMaximum", where, -1)]
        least = max((low for low in lows if low is not None), default=None)
        most = min((high for high in highs if high is not None), default=None)
        found = between(least, most)
        if not found:
            _refuse(f"{where}.minimum", "No integer is in these bounds.")
        return self._b.rule(*found)

    def _object(self, schema: Schema, where: str) -> int:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        others = schema.get("additionalProperties", True)
        if not isinstance(properties, dict):
            _refuse(f"{where}.properties", "properties is an object of schemas.")
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            _refuse(f"{where}.required", "required is a list of names.")
        properties = dict(properties)
        for name in required:
            if name not in properties and others is False:
                _refuse(f"{where}.required", f"{name!r} is required and not allowed.")
            properties.setdefault(name, others)
        if not properties and others is not False:
            return self._json.mapping(self.value(others, f"{where}.additionalProperties"))
        return self._members(properties, set(required), f"{where}.properties")

    def _members(self, properties: Schema, required: set[str], where: str) -> int:
        """The properties in their order, from the last to the first."""
        b, space = self._b, self._json.space()
        first = after = b.rule(())
        for name, schema in reversed(properties.items()):
            value = self.value(schema, f"{where}.{name}")
            member: Alternative = (_json(name), ":", space, value, after)
            begun = b.rule(member)
            going_on = b.rule((",", space, begun))
            if name in required:
                first, after = begun, going_on
            else:
                first, after = b.rule((begun,), (first,)), b.rule((going_on,), (after,))
        return b.rule(("{", first, "}"))

    def _constants(self, schema: Schema, where: str) -> int:
        values = schema.get("enum", [schema.get("const")])
        if not isinstance(values, list):
            _refuse(f"{where}.enum", "enum is a list of values.")
        if "const" in schema:
            values = [value for value in values if _json(value) == _json(schema["const"])]
        if "type" in schema:
            types = _types(schema, {"type"}, where)
            values = [value for value in values if any(_is(value, kind) for kind in types)]
        if not values:
            _refuse(f"{where}.enum", "No value is allowed here.")
        return self._b.rule(*((_json(value),) for value in values))

    def _choice(self, name: str, schemas: object, where: str) -> int:
        if not isinstance(schemas, list) or not schemas:
            _refuse(where, f"{name} is a list of schemas.")
        if name == "allOf" and len(schemas) > 1:
            _refuse(where, "allOf of more than one schema is not known here.")
        rules: list[Alternative] = [
            (self.value(schema, f"{where}[{at}]"),) for at, schema in enumerate(schemas)
        ]
        return self._b.rule(*rules)

    def _reference(self, name: object, where: str) -> int:
        """A schema elsewhere in this one; it may be on its way to itself."""
        if not isinstance(name, str) or not (name == "#" or name.startswith("#/")):
            _refuse(where, "References lead to places in the schema itself: #/$defs/….")
        if name not in self._referred:
            self._referred[name] = number = self._b.reserve()
            self._b.fill(number, (self.value(self._find(name, where), where),))
        return self._referred[name]

    def _find(self, name: str, where: str) -> object:
        found = self._root
        for part in name.split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or part not in found:
                _refuse(where, f"There is nothing at {name}.")
            found = found[part]
        return found


def _types(schema: Schema, keys: set[str], where: str) -> list[str]:
    """The types that a schema names, or that its keywords are for."""
    if "type" not in schema:
        found = [kind for kind, words in KEYWORDS.items() if keys & set(words)]
        unknown = min(keys)
        return found or _refuse(f"{where}.{unknown}", f"{unknown} is not known here; leave it out.")
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    for kind in types:
        if not isinstance(kind, str) or kind not in KEYWORDS:
            _refuse(f"{where}.type", f"There is no type {kind!r}.")
    return types or _refuse(f"{where}.type", "A schema needs a type.")


def _is(value: object, kind: str) -> bool:
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


def _bounds(schema: Schema, low: str, high: str, where: str) -> tuple[int, int | None]:
    least, most = _whole(schema, low, where), _whole(schema, high, where)
    for name, bound in ((low, least), (high, most)):
        if bound is not None and not 0 <= bound <= LONGEST:
            _refuse(f"{where}.{name}", f"{name} is known from 0 to {LONGEST}.")
    if most is not None and most < (least or 0):
        _refuse(f"{where}.{high}", f"{high} is less than {low}.")
    return least or 0, most


def _whole(schema: Schema, name: str, where: str, plus: int = 0) -> int | None:
    bound = schema.get(name)
    if bound is None:
        return None
    if isinstance(bound, bool) or not isinstance(bound, int) or abs(bound) > 1 << 62:
        _refuse(f"{where}.{name}", f"{name} has to be an integer.")
    return bound + plus


def _only(keys: set[str], known: set[str], where: str) -> None:
    """Refuse what stands beside the known keywords."""
    for name in sorted(keys - known):
        _refuse(f"{where}.{name}", f"{name} is not known here, or not in this place; leave it out.")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _refuse(where: str, detail: str) -> Never:
    raise SchemaError(where, detail)
