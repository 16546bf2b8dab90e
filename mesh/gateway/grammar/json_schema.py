"""JSON Schema to grammar: every text of the grammar is valid under the schema.

The other way round it need not be: objects have the properties that are listed, in that order,
and no others. A keyword that could not be kept to is refused; docs/openai.md lists those known.
"""

from mesh.gateway.grammar.build import Builder, TooLarge
from mesh.gateway.grammar.choices import alike
from mesh.gateway.grammar.json_text import Json
from mesh.gateway.grammar.keywords import (
    ANNOTATIONS,
    Schema,
    SchemaError,
    bounds,
    known,
    only,
    refuse,
    text,
    types,
    whole,
)
from mesh.gateway.grammar.numbers import between
from mesh.gateway.grammar.sound import faults
from mesh.protocol.grammar import Alternative, Grammar
from mesh.protocol.json_types import is_of, steps

NO_ID = (
    "Only the whole schema may have an $id, for references within are read from it; leave it out."
)


def grammar(schema: object) -> Grammar:
    """The grammar of the JSON texts of a schema. Raises SchemaError."""
    builder = Builder()
    made = builder.grammar((rule(builder, schema),))
    for detail in faults(made, builder.alike):
        raise SchemaError("", detail)
    return made


def rule(builder: Builder, schema: object, objects: bool = False) -> int:
    """A rule for the JSON texts of a schema. objects: of no other values. Raises SchemaError."""
    compiler = _Compiler(builder, schema)
    try:
        made = compiler.value(schema, "")
    except TooLarge:
        raise SchemaError(
            "", "The schema is too large, or all of them together; ask for less."
        ) from None
    except RecursionError:
        raise SchemaError("", "The schema is nested too deeply.") from None
    if objects:
        compiler.only_objects(schema)
    return made


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
            refuse(where, "A schema is an object, or true.")
        if "$id" in schema and schema is not self._root:
            refuse(f"{where}.$id", NO_ID)
        keys = schema.keys() - ANNOTATIONS
        if not keys:
            return self._json.any_value()
        if "$ref" in keys:
            only(keys, {"$ref"}, where)
            return self._reference(schema["$ref"], f"{where}.$ref")
        if keys & {"enum", "const"}:
            only(keys, {"enum", "const", "type"}, where)
            return self._constants(schema, where)
        for choice in ("anyOf", "allOf"):
            if choice in keys:
                only(keys, {choice}, where)
                return self._choice(choice, schema[choice], f"{where}.{choice}")
        return self._typed(schema, keys, where)

    def only_objects(self, schema: object) -> None:
        """Refuse what allows any other value, of a schema that was compiled."""
        waiting, seen = [(schema, "")], set[int]()
        while waiting:
            one, where = waiting.pop()
            found = self._resolved(one)
            if id(found) in seen:
                continue
            seen.add(id(found))
            choices = _choices(found)
            waiting += [(each, where + at) for at, each in choices]
            if not choices and not _is_object(found, where):
                refuse(where, "Only an object can be here; give the schema the type object.")

    def _typed(self, schema: Schema, keys: set[str], where: str) -> int:
        kinds = types(schema, keys, where)
        only(keys, {"type"} | known(kinds), where)
        rules: list[Alternative] = [(self._of_type(kind, schema, where),) for kind in kinds]
        return self._b.rule(*rules)

    def _of_type(self, kind: str, schema: Schema, where: str) -> int:
        match kind:
            case "object":
                return self._object(schema, where)
            case "array":
                least, most = bounds(schema, "minItems", "maxItems", where)
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
        least, most = bounds(schema, "minLength", "maxLength", where)
        if "format" not in schema:
            return self._json.string(least, most)
        made = self._json.formatted(str(schema["format"]))
        if made is None or (least, most) != (0, None):
            refuse(f"{where}.format", "This format is not known here, or not with a length.")
        return made

    def _integer(self, schema: Schema, where: str) -> int:
        lows = [whole(schema, "minimum", where), whole(schema, "exclusiveMinimum", where, 1)]
        highs = [whole(schema, "maximum", where), whole(schema, "exclusiveMaximum", where, -1)]
        least = max((low for low in lows if low is not None), default=None)
        most = min((high for high in highs if high is not None), default=None)
        found = between(least, most)
        if not found:
            refuse(f"{where}.minimum", "No integer is in these bounds.")
        return self._b.rule(*found)

    def _object(self, schema: Schema, where: str) -> int:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        others = schema.get("additionalProperties", True)
        if not isinstance(properties, dict):
            refuse(f"{where}.properties", "properties is an object of schemas.")
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            refuse(f"{where}.required", "required is a list of names.")
        properties = dict(properties)
        for name in required:
            if name not in properties and others is False:
                refuse(f"{where}.required", f"{name!r} is required and not allowed.")
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
            member: Alternative = (text(name), ":", space, value, after)
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
            refuse(f"{where}.enum", "enum is a list of values.")
        if "const" in schema:
            values = [value for value in values if text(value) == text(schema["const"])]
        if "type" in schema:
            kinds = types(schema, {"type"}, where)
            values = [value for value in values if any(is_of(value, kind) for kind in kinds)]
        if not values:
            refuse(f"{where}.enum", "No value is allowed here.")
        return self._b.rule(*((text(value),) for value in values))

    def _choice(self, name: str, schemas: object, where: str) -> int:
        if not isinstance(schemas, list) or not schemas:
            refuse(where, f"{name} is a list of schemas.")
        if name == "allOf" and len(schemas) > 1:
            refuse(where, "allOf of more than one schema is not known here.")
        rules: list[Alternative] = [
            (self.value(schema, f"{where}[{at}]"),) for at, schema in enumerate(schemas)
        ]
        number = self._b.rule(*rules)
        self._b.alike[number] = alike([self._resolved(schema) for schema in schemas])
        return number

    def _reference(self, name: object, where: str) -> int:
        """A schema elsewhere in this one; it may be on its way to itself."""
        if not isinstance(name, str) or not (name == "#" or name.startswith("#/")):
            refuse(where, "References lead to places in the schema itself: #/$defs/….")
        if name not in self._referred:
            self._referred[name] = number = self._b.reserve()
            self._b.fill(number, (self.value(self._find(name, where), where),))
        return self._referred[name]

    def _resolved(self, schema: object) -> object:
        """What a reference leads to in the end, of a schema that was compiled."""
        for _ in range(len(self._referred)):
            if not isinstance(schema, dict) or "$ref" not in schema:
                break
            schema = self._find(schema["$ref"], "")
        return schema

    def _find(self, name: str, where: str) -> object:
        found = self._root
        for part in steps(name):
            if not isinstance(found, dict) or part not in found:
                refuse(where, f"There is nothing at {name}.")
            if found is not self._root and isinstance(found.get("$id"), str):  # no property's name
                refuse(where, NO_ID)
            found = found[part]
        return found


def _choices(schema: object) -> list[tuple[str, object]]:
    """The schemas among which one chooses, each with its place."""
    for word in ("anyOf", "allOf"):
        if isinstance(schema, dict) and word in schema:
            return [(f".{word}[{at}]", each) for at, each in enumerate(schema[word])]
    return []


def _is_object(schema: object, where: str) -> bool:
    """Whether all values of a schema without choices are objects. A reference that is left in it
    leads to itself, and has none."""
    keys = schema.keys() - ANNOTATIONS if isinstance(schema, dict) else set[str]()
    if not isinstance(schema, dict) or not keys:
        return False
    if "$ref" in keys:
        return True
    if "type" not in keys and keys & {"enum", "const"}:
        values = schema.get("enum", [schema.get("const")])
        return all(is_of(value, "object") for value in values)
    return types(schema, keys, where) == ["object"]
