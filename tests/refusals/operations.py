"""The operations of the gateway's own OpenAPI document, and what they take. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import msgspec

from mesh.gateway.openapi import document
from mesh.gateway.refusals import kind_of
from tests.owned import METHODS
from tests.permissions import RULES, Rule
from tests.served import bare_app

Json = Any

NO_WORD = "nonsense"
"""What stands for one of some other words."""

CANDIDATES: tuple[Json, ...] = (7, "x", [7], {"x": 7}, True, 0.5)
"""Of these one is of another type than a field may have."""


@dataclass(frozen=True)
class Operation:
    """A route as the document has it. body: the JSON Schema of its body, None where it has none."""

    name: str
    parameters: tuple[Json, ...]
    body: Json | None
    components: Json
    signed_in: bool

    @property
    def method(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.name.partition(" ")[2]

    @property
    def shape(self) -> type[msgspec.Struct]:
        """What its refusals are."""
        return kind_of(self.path)

    @property
    def rule(self) -> Rule:
        """Who may ask, and of what kinds the ids in the path are."""
        return RULES[self.name]

    def named(self, where: str) -> list[str]:
        """The names of the parameters in the path, the query or the headers."""
        return [each["name"] for each in self.parameters if each["in"] == where]

    @property
    def takes_nothing(self) -> bool:
        return self.body is None and not self.parameters

    @property
    def query(self) -> list[tuple[str, Json]]:
        """The parameters of the query, each with its schema."""
        return [(each["name"], each["schema"]) for each in self.parameters if each["in"] == "query"]

    @property
    def asked_for(self) -> list[str]:
        """The parameters of the query that have to be there."""
        return [
            each["name"] for each in self.parameters if each["in"] == "query" and each["required"]
        ]

    # --- its body ---------------------------------------------------------------------------------

    @property
    def struct(self) -> Json:
        """The schema of its body itself."""
        return resolved(self.body, self.components)

    @property
    def fields(self) -> dict[str, Json]:
        found: dict[str, Json] = self.struct.get("properties", {}) if self.body else {}
        return found

    @property
    def needed(self) -> list[str]:
        """The fields that have to be there, in their order."""
        found: list[str] = self.struct.get("required", []) if self.body else []
        return found

    @property
    def strict(self) -> bool:
        """Whether it refuses fields that it does not have."""
        return self.body is not None and self.struct.get("additionalProperties") is False

    def wrong_types(self) -> Iterator[tuple[str, Json]]:
        """Each field with a value of another type than it may have, if there is one."""
        for name, schema in self.fields.items():
            kinds = _types(schema, self.components)
            wrong = [each for each in CANDIDATES if kinds and _type(each) not in kinds]
            if wrong and not (kinds == {"number"} and wrong[0] == 7):
                yield name, wrong[0]

    def beyond(self) -> Iterator[tuple[str, Json]]:
        """Each field with a value that is just too small, too large, too short or too long."""
        for name, schema in self.fields.items():
            for part in choices(schema, self.components):
                for value in _outside(part):
                    if not self.valid(schema, value):
                        yield name, value

    def valid(self, schema: Json, value: Json) -> bool:
        whole = schema | {"components": {"schemas": self.components}}
        return bool(jsonschema.Draft202012Validator(whole).is_valid(value))


def resolved(schema: Json, components: Json) -> Json:
    while "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    return schema


def choices(schema: Json, components: Json) -> list[Json]:
    """The schemas of which a value has to fit one."""
    found = resolved(schema, components)
    several = found.get("anyOf", found.get("oneOf"))
    return [found] if several is None else [resolved(each, components) for each in several]


def _types(schema: Json, components: Json) -> set[str]:
    """What a value may be; nothing where that is not said."""
    found = set[str]()
    for part in choices(schema, components):
        if "enum" in part or "const" in part:
            found |= {_type(each) for each in part.get("enum", [part.get("const")])}
        elif "type" in part:
            found.add(part["type"])
        else:
            return set()
    return found | {"integer"} if "number" in found else found


def _type(value: Json) -> str:
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array"}
    return "null" if value is None else kinds.get(type(value), "object")


def _outside(part: Json) -> list[Json]:
    """Values beyond the bounds that a schema names."""
    found: list[Json] = []
    if part.get("type") in ("integer", "number"):
        found += [part["minimum"] - 1] if "minimum" in part else []
        found += [part["maximum"] + 1] if "maximum" in part else []
        found += [part["exclusiveMinimum"]] if "exclusiveMinimum" in part else []
    if part.get("type") == "string":
        found += [""] if part.get("minLength") else []
        found += ["x" * (part["maxLength"] + 1)] if "maxLength" in part else []
    if part.get("type") == "array":
        found += [[]] if part.get("minItems") else []
    if "enum" in part and all(isinstance(each, str) for each in part["enum"]):
        found.append(NO_WORD)
    return found


def _place(method: tuple[str, Json]) -> int:
    return METHODS[method[0].upper()]


@cache
def operations() -> dict[str, Operation]:
    """All of them by method and path, in the order of the paths and of `METHODS`."""
    whole = msgspec.json.decode(document(bare_app()))
    components = whole["components"]["schemas"]
    found = {}
    for path, methods in whole["paths"].items():
        for method, told in sorted(methods.items(), key=_place):
            name = f"{method.upper()} {path}"
            content = told.get("requestBody", {}).get("content", {})
            found[name] = Operation(
                name=name,
                parameters=tuple(told["parameters"]),
                body=content.get("application/json", {}).get("schema"),
                components=components,
                signed_in=bool(told["security"]),
            )
    return found
