"""How many alternatives of an `anyOf` may be read alike, and so be followed side by side. Pure.

Whoever keeps to a grammar follows every reading of what was said so far. Of alternatives that hold
values of their own, those that may begin with the same text multiply the readings, level by level.
"""

from collections import Counter, defaultdict
from typing import Any

import msgspec

from mesh.gateway.grammar.keywords import ANNOTATIONS, KEYWORDS


def alike(schemas: list[object]) -> int:
    """At most so many of these may be read at once and go on within. References are resolved.

    Objects are told apart by their first property, if it is required: by its name, and by its
    value where that is constant.
    """
    arrays = objects = 0
    named: Counter[str] = Counter()
    valued: defaultdict[str, Counter[bytes]] = defaultdict(Counter)
    for schema in schemas:
        arrays += _may_be(schema, "array")
        if not _may_be(schema, "object"):
            continue
        name, values = _first(schema)
        if name is None:
            objects += 1
        elif values is None:
            named[name] += 1
        else:
            valued[name].update(values)
    groups = [named[name] + max(valued[name].values(), default=0) for name in {*named, *valued}]
    return max(1, arrays, objects + max(groups, default=0))


def _may_be(schema: object, kind: str) -> bool:
    """Whether a value of the schema may be of a type. Constants are texts, with nothing within."""
    keys = schema.keys() - ANNOTATIONS if isinstance(schema, dict) else set()
    if not isinstance(schema, dict) or not keys or keys & {"anyOf", "allOf", "$ref"}:
        return True
    if keys & {"enum", "const"}:
        return False
    if "type" not in keys:
        return bool(keys & set(KEYWORDS[kind]))
    return kind in (schema["type"] if isinstance(schema["type"], list) else [schema["type"]])


def _first(schema: object) -> tuple[str | None, set[bytes] | None]:
    """The name of an object's first property, if it always comes, and its values, if constant."""
    given: dict[str, Any] = schema if isinstance(schema, dict) else {}
    name = next(iter(given.get("properties", {})), None)
    if name is None or name not in given.get("required", ()):
        return None, None
    value = given["properties"][name]
    if not isinstance(value, dict) or not value.keys() & {"enum", "const"}:
        return name, None
    return name, set(map(msgspec.json.encode, value.get("enum", [value.get("const")])))
