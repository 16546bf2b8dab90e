"""Hostile input from a seed: JSON that is nearly right, strings nobody expects, and plain garbage.

MESH_FUZZ_SEED draws other input, MESH_FUZZ=10 ten times as much of it. Both are for looking longer;
a usual run draws the same every time.
"""

import os
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

import msgspec

SEED = int(os.environ.get("MESH_FUZZ_SEED", "1"))
MORE = float(os.environ.get("MESH_FUZZ", "1"))

STRINGS = (
    "", " ", "\x00", "a\x00b", "\n", "\r\nX-Evil: 1", "\u202e\ufeff", "\U0010ffff", "é", "🦊" * 50,
    "../../../etc/passwd", "'; DROP TABLE runs; --", "{{7*7}}", "${x}", "%00%ff%n%s", "*", ">",
    "m1.run.*.evt.>", "$JS.API.STREAM.PURGE.RUN", "null", "-1", "1e999", "true", "Bearer x",
    "x" * 3_000, "🦊" * 1_000, "<|im_start|>system", "</script><script>", "a.b.c", "=", "\\",
    "[" * 3_000 + "]" * 3_000, '{"a":' * 1_500 + "1" + "}" * 1_500,
)  # fmt: skip
NUMBERS = (
    0, -1, 1, 2, 255, 2**31, -(2**31) - 1, 2**53 + 1, 2**63, -(2**63) - 1, 2**64, 10**30,
    -0.0, 0.5, -0.5, 1e308, -1e308, 5e-324,
)  # fmt: skip
RAW = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1" * 5000, b"01", b"+1", b".5",
    b"0x10",
    b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xff\xfe"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\x01"',
    b'"\\x41"', b"'a'", b"tru", b"/**/1", b"undefined", b"",
    b"[" * 20_000 + b"]" * 20_000, b'{"a":' * 20_000 + b"1" + b"}" * 20_000, b"[" * 5_000,
    b'"' + b"x" * 300_000 + b'"',
)  # fmt: skip
"""What stands in the place of a value, right or wrong as JSON."""

MARK = "@raw@"
AGAIN = "@again@"
"""Behind a name: it is written without, and so stands there twice."""

Json = Any


def rounds(usual: int) -> int:
    """How many cases to draw, where a usual run draws so many."""
    return max(1, round(usual * MORE))


def value(rng: Random) -> Json:
    """Any JSON value; MARK stands for one of RAW."""
    match rng.randrange(10):
        case 0 | 1 | 2 | 3:
            return rng.choice(STRINGS)
        case 4 | 5:
            return rng.choice(NUMBERS)
        case 6:
            return rng.choice((None, True, False, [], {}, [None], {"": ""}, [[]] * 100))
        case 7:
            return {rng.choice(STRINGS): value(rng) for _ in range(rng.randrange(3))}
        case 8:
            return [value(rng) for _ in range(rng.randrange(4))]
        case _:
            return MARK


def spoilt(rng: Random, good: Json) -> bytes:
    """A JSON text that differs from a good value in some places, or is none any more."""
    tree = deepcopy(good)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        tree = _changed(rng, tree)
    data = msgspec.json.encode(tree).replace(AGAIN.encode(), b"")
    while (spelled := f'"{MARK}"'.encode()) in data:
        data = data.replace(spelled, rng.choice(RAW), 1)
    return _torn(rng, data) if rng.random() < 0.15 else data


def _changed(rng: Random, tree: Json) -> Json:
    """The tree with one node replaced, dropped, doubled, wrapped, renamed or added."""
    if rng.random() < 0.05 or not isinstance(tree, dict | list) or not tree:
        return value(rng)
    key = rng.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
    if isinstance(tree[key], dict | list) and tree[key] and rng.random() < 0.7:
        tree[key] = _changed(rng, tree[key])
        return tree
    return rng.choice(CHANGES)(rng, tree, key)


def _replace(rng: Random, tree: Json, key: Any) -> Json:
    tree[key] = value(rng)
    return tree


def _drop(rng: Random, tree: Json, key: Any) -> Json:
    del tree[key]
    return tree


def _wrap(rng: Random, tree: Json, key: Any) -> Json:
    tree[key] = [tree[key]]
    return tree


def _repeat(rng: Random, tree: Json, key: Any) -> Json:
    tree[key] = [tree[key]] * rng.choice((2, 2, 300))
    return tree


def _add(rng: Random, tree: Json, key: Any) -> Json:
    if isinstance(tree, dict):
        tree[rng.choice(STRINGS)] = value(rng)
    else:
        tree.insert(key, value(rng))
    return tree


def _rename(rng: Random, tree: Json, key: Any) -> Json:
    if isinstance(tree, dict):
        tree[rng.choice((str(key).upper(), f"{key}s", f" {key}"))] = tree.pop(key)
    return tree


def _double(rng: Random, tree: Json, key: Any) -> Json:
    """A name that stands twice: the other value is the first one or the last."""
    if isinstance(tree, dict):
        first, last = rng.choice(((tree[key], value(rng)), (value(rng), tree[key])))
        tree[key], tree[f"{key}{AGAIN}"] = first, last
    return tree


CHANGES: tuple[Callable[[Random, Json, Any], Json], ...] = (
    _replace, _replace, _replace, _drop, _wrap, _repeat, _add, _rename, _double,
)  # fmt: skip


def _torn(rng: Random, data: bytes) -> bytes:
    """Bytes cut off, flipped, doubled or with garbage in them."""
    at = rng.randrange(len(data) + 1)
    match rng.randrange(4):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        case 2:
            return data[:at] + rng.randbytes(rng.randrange(1, 9)) + data[at:]
        case _:
            return data + data


def sample(rng: Random, schema: Json, components: Json, depth: int = 4) -> Json:
    """A value that a JSON Schema of ours allows, as far as it says what it allows."""
    match schema:
        case {"$ref": reference}:
            return sample(rng, components[reference.rpartition("/")[2]], components, depth)
        case {"const": one}:
            return one
        case {"enum": several}:
            return rng.choice(several)
        case {"anyOf": several} | {"oneOf": several}:
            return sample(rng, rng.choice(several), components, depth)
        case {"type": "object", "properties": fields}:
            needed = schema.get("required", ())
            return {
                name: sample(rng, field, components, depth - 1)
                for name, field in fields.items()
                if name in needed or (depth > 0 and rng.random() < 0.4)
            }
        case {"type": "array", "prefixItems": items}:
            return [sample(rng, item, components, depth - 1) for item in items]
        case {"type": "array"}:
            item = schema.get("items") or {}
            least = schema.get("minItems", 0)
            count = rng.randint(least, max(least, 2 if depth > 0 else 0))
            return [sample(rng, item, components, depth - 1) for _ in range(count)]
        case {"type": "object"}:
            return {}
        case {"type": "integer"}:
            low = schema.get("minimum", 0)
            return rng.randint(low, min(schema.get("maximum", low + 9), low + 9))
        case {"type": "number"}:
            low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
            return round(rng.uniform(low, min(schema.get("maximum", low + 1), low + 1)), 3)
        case {"type": "string"}:
            return rng.choice(("hello", "echo", "user", "a b c", "x"))
        case {"type": "boolean"}:
            return rng.random() < 0.5
        case {"type": "null"}:
            return None
        case _:
            return rng.choice(("hello", 7, None, {"a": 1}))
