"""Whether constrained JSON is always valid: random schemas, answered by a real model over HTTP.

    python -m benchmarks.schemas [--count 1000] [--seed 1]

Starts a mesh of its own with the bundled model, which is held to one random schema after the other,
of all the documented keywords, and holds every answer that ended with `stop` against its schema
by a validator of others. Under a schema without bounds a model so small talks on for ever: who was
cut off is asked again, with what ends strings, objects and lists made likelier, until it ends. As
many schemas again have a keyword that is not known, and have to be refused by its name. Exit
status 1 if one answer did not end, was not valid, or not refused.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]

from benchmarks import subjects
from benchmarks.report import Aim
from tests.schemas import UNDOCUMENTED, Schema, check, documented

AT_ONCE = 8
COUNT = 1_000
TRIES = ((200, 0), (900, 8), (900, 24))
"""One after the other until an answer ends: its tokens at most, and the pull (`logit_bias`) of the
marks that end something; of nearly all the model's room, and twice what it ever prefers."""

QUOTE, MARKS = '"', "]}"
"""A quote is pulled a quarter more: it begins a string, too, and then has to win there as well."""

VALID = "valid"

WORDS = ("Tell me about Ada.", "What is the weather?", "Count to ten.", "Describe a fox.")


async def ids(http: httpx.AsyncClient) -> dict[str, float]:
    """The id of each mark that ends something, each a token by itself, and its part of a pull."""
    found = {}
    for mark in QUOTE + MARKS:
        answer = await http.post("/tokenize", json={"prompt": mark})
        (token,) = answer.raise_for_status().json()["tokens"]
        found[str(token)] = 1.25 if mark == QUOTE else 1.0
    return found


async def ask(
    http: httpx.AsyncClient,
    schema: Schema,
    seed: int,
    tokens: int = TRIES[0][0],
    bias: dict[str, float] | None = None,
) -> httpx.Response:
    """One answer under a schema."""
    format = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    body = {
        "messages": [{"role": "user", "content": WORDS[seed % len(WORDS)]}],
        "response_format": format,
        "max_tokens": tokens,
        "temperature": 1.0,
        "seed": seed,
        "logit_bias": bias or {},
    }
    return await http.post("/v1/chat/completions", json=body)


async def valid(http: httpx.AsyncClient, marks: dict[str, float], seed: int) -> str:
    """What came of a schema of documented keywords."""
    schema = documented(Random(seed))
    for tokens, pull in TRIES:
        bias = {token: part * pull for token, part in marks.items() if pull}
        answer = await ask(http, schema, seed, tokens, bias)
        if answer.status_code != 200:
            return f"refused: {answer.text} for {json.dumps(schema)}"
        choice: dict[str, Any] = answer.json()["choices"][0]
        if choice["finish_reason"] == "stop":
            told = f"{VALID}, pulled to its end by {pull}" if pull else VALID
            return (
                told
                if keeps_to(choice["message"]["content"], schema)
                else (f"not valid: {choice['message']['content']} under {json.dumps(schema)}")
            )
    return f"cut off, however it was asked: {json.dumps(schema)}"


def keeps_to(text: str, schema: Schema) -> bool:
    """Whether an answer is JSON, and valid under a schema."""
    try:
        check(json.loads(text), schema)
    except (ValueError, jsonschema.ValidationError):
        return False
    return True


async def refused(http: httpx.AsyncClient, marks: dict[str, float], seed: int) -> str:
    """What came of a schema with a keyword that is not known, somewhere in it."""
    random = Random(seed)
    name = random.choice(list(UNDOCUMENTED))
    spoilt = documented(random) | {name: UNDOCUMENTED[name]}
    for _ in range(random.randrange(3)):
        spoilt = {"type": "object", "properties": {"a": spoilt}}
    answer = await ask(http, spoilt, seed)
    param = str(answer.json().get("error", {}).get("param"))
    if answer.status_code == 400 and name in param:
        return "refused by name"
    return f"not refused: {answer.status_code} {param} for {json.dumps(spoilt)}"


async def run(url: str, count: int, seed: int) -> Counter[str]:
    """How often what came of a schema."""
    found: Counter[str] = Counter()
    waiting = iter([(kind, seed + at) for at in range(count) for kind in (valid, refused)])
    async with httpx.AsyncClient(base_url=url, timeout=120.0) as http:
        marks = await ids(http)

        async def some() -> None:
            for kind, number in waiting:
                found[await kind(http, marks, number)] += 1

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return found


def measure(folder: Path, count: int = COUNT, seed: int = 1) -> list[Aim]:
    """Ask under so many schemas, print what came of them, and say what was to be reached."""
    with subjects.mesh(folder, "schemas", {}) as target:
        found = asyncio.run(run(target.url, count, seed))
    print(f"\nAnswers under {count:,} random schemas, and as many that are to be refused")
    for what, times in found.most_common(40):
        print(f"{times:5} {what}")
    right = sum(times for what, times in found.items() if what.startswith(VALID)) / count
    turned_away = found["refused by name"] / count
    return [
        Aim(
            f"{count:,} random schemas, share of answers that ended and are valid", right, 1.0, True
        ),
        Aim(f"{count:,} schemas with unknown keywords, share refused", turned_away, 1.0, True),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schemas", description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    return subjects.standalone(lambda folder: measure(folder, arguments.count, arguments.seed))


if __name__ == "__main__":
    sys.exit(main())
