"""Whether a value is valid under a JSON Schema, for engines that cannot be held to one. Pure.

Knows the keywords that a gateway lets through (docs/openai.md), and the whole of each: what an
upstream writes may have its properties in another order, or more than those that are listed. What
cannot be checked, for its depth or its cost, is taken: nothing is known against it.
"""

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import msgspec

from mesh.protocol.json_types import is_of, steps

MOST = 100_000
"""Looks that are taken: at a part of a value under a schema, one of its types, a name that it has
to have, two parts that may be the same, some characters of a text that has a format. They take
about half a second, beside what reading schema and text takes; meanwhile nothing else is done."""

_A_LOOK = 64
"""Characters of a text that has a format which are looked at in one."""

_NAME = re.compile(r"[\w$-]+", re.ASCII)
_TIME = r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)?"
_HEX = "[0-9a-fA-F]"
_FORMATS = {
    "date": re.compile(r"\d{4}-\d\d-\d\d", re.ASCII),
    "time": re.compile(_TIME, re.ASCII),
    "date-time": re.compile(rf"\d{{4}}-\d\d-\d\d[Tt]{_TIME}", re.ASCII),
    "uuid": re.compile(rf"{_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}"),
    "email": re.compile(r"[^@\s]+@[^@\s]+"),
}


class Fault(NamedTuple):
    """What is wrong, in half a sentence, and where: `.people[3].age`, "" for the whole."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where or 'the whole'} {self.what}"

    def within(self, step: str) -> "Fault":
        """The same, seen from one level further out."""
        return Fault(step + self.where, self.what)


def text_fault(schema: str, text: str) -> Fault | None:
    """The first fault of a text of JSON under a schema, itself JSON.

    None: it is valid, or is nested too deeply or too large to be checked. Of what the text says
    nothing stands in a fault, only names that the schema has.
    """
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):  # what nests too deeply can be read by nobody
        return Fault("", "is not JSON")
    try:
        return _Held(msgspec.json.decode(schema)).against(value)
    except (RecursionError, _TooMuch):
        return None


class _TooMuch(Exception):
    """More looks than MOST would have to be taken."""


class _Held:
    """Holds values against parts of one schema. Each pair is looked at once, so that choices within
    choices cost no more than there are pairs."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = MOST
        self._known: dict[tuple[int, int], Fault | None] = {}
        self._enums: dict[int, tuple[set[object], list[object]]] = {}
        self._references: dict[str, Any] = {}

    def against(self, value: Any) -> Fault | None:
        return self._fault(self._root, value)

    def _look(self, times: int = 1) -> None:
        """Raises _TooMuch if there are no looks left."""
        self._left -= times
        if self._left < 0:
            raise _TooMuch

    def _fault(self, schema: Any, value: Any) -> Fault | None:
        self._look()
        if schema is True:
            return None
        if not isinstance(schema, dict):
            return Fault("", "is not allowed here")
        pair = id(schema), id(value)  # both live as long as this does
        if pair in self._known:
            return self._known[pair]
        self._known[pair] = Fault("", "is of a schema that refers to nothing but itself")
        found = self._known[pair] = next(self._faults(schema, value), None)
        return found

    def _faults(self, schema: dict[str, Any], value: Any) -> Iterator[Fault]:
        if "$ref" in schema and (found := self._fault(self._referred(schema["$ref"]), value)):
            yield found
        kinds = schema.get("type")
        kinds = [kinds] if isinstance(kinds, str) else kinds or ()
        self._look(len(kinds))
        if kinds and not any(is_of(value, kind) for kind in kinds):
            yield Fault("", f"has to be of type {' or '.join(dict.fromkeys(kinds))}")
        if "const" in schema and not self._same(value, schema["const"]):
            yield Fault("", "is not the one value that is allowed")
        if "enum" in schema and not self._is_listed(value, schema["enum"]):
            yield Fault("", "is none of the values that are allowed")
        for each in schema.get("allOf", ()):
            if found := self._fault(each, value):
                yield found
        choices = schema.get("anyOf")
        if choices and all(self._fault(each, value) for each in choices):
            yield Fault("", "fits none of the schemas of its anyOf")
        yield from self._of_kind(schema, value)

    def _of_kind(self, schema: dict[str, Any], value: Any) -> Iterator[Fault]:
        match value:
            case bool() | None:
                return
            case str():
                yield from _size(schema, len(value), "Length", "characters")
                shape = schema.get("format", "")
                self._look(len(value) // _A_LOOK if shape in _FORMATS else 0)
                if not _is_formatted(value, shape):
                    yield Fault("", f"has to be a {schema['format']}")
            case int() | float():
                yield from _bounds(schema, value)
            case list():
                yield from _size(schema, len(value), "Items", "items")
                items = schema.get("items", True)
                for at, each in enumerate(value):
                    if found := self._fault(items, each):
                        yield found.within(f"[{at}]")
            case dict():
                yield from self._members(schema, value)

    def _members(self, schema: dict[str, Any], value: dict[str, Any]) -> Iterator[Fault]:
        for name in schema.get("required", ()):
            self._look()
            if name not in value:
                yield Fault(_step(name), "is missing")
        listed, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        for name, each in value.items():
            if found := self._fault(listed.get(name, others), each):
                if name not in listed and others is False:
                    yield Fault("", "has a property that is not listed")
                yield found.within(_step(name) if name in listed else ".*")

    def _is_listed(self, value: object, enum: list[object]) -> bool:
        """Whether a value is one of an enum, of which there may be very many."""
        if id(enum) not in self._enums:
            plain = {_plain(each) for each in enum if not isinstance(each, list | dict)}
            parted: list[object] = [each for each in enum if isinstance(each, list | dict)]
            self._enums[id(enum)] = plain, parted
        plain, parted = self._enums[id(enum)]
        if not isinstance(value, list | dict):
            return _plain(value) in plain
        return any(self._same(value, each) for each in parted)

    def _same(self, one: object, other: object) -> bool:
        """Whether two values of JSON are."""
        self._look()
        if isinstance(one, list) and isinstance(other, list):
            return len(one) == len(other) and all(map(self._same, one, other))
        if isinstance(one, dict) and isinstance(other, dict):
            return len(one) == len(other) and all(
                key in other and self._same(one[key], other[key]) for key in one
            )
        if isinstance(one, list | dict) or isinstance(other, list | dict):
            return False
        return _plain(one) == _plain(other)

    def _referred(self, name: str) -> Any:
        if name not in self._references:
            self._references[name] = self._led_to(name)
        return self._references[name]

    def _led_to(self, name: str) -> Any:
        """What a reference leads to; False, under which nothing is valid, if that is nothing."""
        found = self._root
        for part in steps(name):
            if not isinstance(found, dict) or part not in found:
                return False
            found = found[part]
        return found


def _size(schema: dict[str, Any], size: int, what: str, of: str) -> Iterator[Fault]:
    least, most = schema.get(f"min{what}"), schema.get(f"max{what}")
    if least is not None and size < least:
        yield Fault("", f"has {size} {of}, fewer than {least}")
    if most is not None and size > most:
        yield Fault("", f"has {size} {of}, more than {most}")


def _bounds(schema: dict[str, Any], value: float) -> Iterator[Fault]:
    least, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    most, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    low = (least is not None and value < least) or (above is not None and value <= above)
    high = (most is not None and value > most) or (below is not None and value >= below)
    if low or high:
        yield Fault("", f"is too {'small' if low else 'large'}")


def _plain(value: object) -> object:
    """What a value that has no parts is the same by: Python takes true for 1, JSON does not."""
    return isinstance(value, bool), value


def _step(name: str) -> str:
    """The step to a property that a schema lists, as it may stand in a log."""
    cut = name[:80]
    return f".{cut}" if _NAME.fullmatch(cut) else f"[{ascii(cut)}]"


def _is_formatted(text: str, name: str) -> bool:
    shape = _FORMATS.get(name)
    if shape is None:
        return True
    if not shape.fullmatch(text):
        return False
    return not name.startswith("date") or _is_day(text[:10])


def _is_day(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False
