"""Whether constrained JSON is always valid: random schemas, answered by a real model over HTTP.

    python -m benchmarks.schemas [--count 1000] [--seed 1]

Starts a mesh of its own with the bundled model, which is held to one random schema after the other,
of all the documented keywords, and holds every answer that ended with `stop` against its schema
by a validator of others. As many schemas again have a keyword that is not known, and have to be
refused by its name. Exit status 1 if one answer was not valid, or not refused.
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
TOKENS = 200
"""Of an answer at most: a tiny model may talk without an end within a string or a list."""

WORDS = ("Tell me about Ada.", "What is the weather?", "Count to ten.", "Describe a fox.")


async def ask(http: httpx.AsyncClient, schema: Schema, seed: int) -> httpx.Response:
    """One answer under a schema."""
    format = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    body = {
        "messages": [{"role": "user", "content": WORDS[seed % len(WORDS)]}],
        "response_format": format,
        "max_tokens": TOKENS,
        "temperature": 1.0,
        "seed": seed,
    }
    return await http.post("/v1/chat/completions", json=body)


async def valid(http: httpx.AsyncClient, seed: int) -> str:
    """What came of a schema of documented keywords."""
    schema = documented(Random(seed))
    answer = await ask(http, schema, seed)
    if answer.status_code != 200:
        return f"refused: {answer.text} for {json.dumps(schema)}"
    choice: dict[str, Any] = answer.json()["choices"][0]
    if choice["finish_reason"] != "stop":
        return "cut off"
    try:
        check(json.loads(choice["message"]["content"]), schema)
    except (ValueError, jsonschema.ValidationError):
        return f"not valid: {choice['message']['content']} under {json.dumps(schema)}"
    return "valid"


async def refused(http: httpx.AsyncClient, seed: int) -> str:
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

        async def some() -> None:
            for kind, number in waiting:
                found[await kind(http, number)] += 1

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return found


def measure(folder: Path, count: int = COUNT, seed: int = 1) -> list[Aim]:
    """Ask under so many schemas, print what came of them, and say what was to be reached."""
    with subjects.mesh(folder, "schemas", {}) as target:
        found = asyncio.run(run(target.url, count, seed))
    print(f"\nAnswers under {count:,} random schemas, and as many that are to be refused")
    for what, times in found.most_common(40):
        print(f"{times:5} {what}")
    ended = count - found["cut off"]
    right, turned_away = found["valid"] / max(1, ended), found["refused by name"] / count
    return [
        Aim(f"{ended:,} constrained answers that ended, share that is valid", right, 1.0, True),
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
