"""What came of a run, and what is kept of it: `results.json`, from which a table is made."""

import json
from pathlib import Path
from typing import NotRequired, TypedDict

KEPT = Path(__file__).parent / "results.json"


class Counts(TypedDict):
    """How many tests passed, failed or were skipped. why: how often each reason to skip one was
    given; routes, of_routes: how many routes were asked, of how many there are."""

    passed: int
    failed: int
    skipped: int
    why: NotRequired[dict[str, int]]
    routes: NotRequired[int]
    of_routes: NotRequired[int]


Results = dict[str, dict[str, Counts]]
"""By client and its version, by what is shown."""


def kept() -> Results:
    found: Results = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    return found


def keep(results: Results) -> None:
    KEPT.write_text(json.dumps(results, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def differences(fresh: Results) -> list[str]:
    """What is not as it was kept, of the clients that ran."""
    found = []
    old = kept()
    for client, shown in fresh.items():
        for feature in sorted({*shown, *old.get(client, {})}):
            now, then = shown.get(feature), old.get(client, {}).get(feature)
            if now != then:
                found.append(f"{client}, {feature}: {then} is kept, now it is {now}.")
    if found:
        found.append("Run `make conformance WRITE=--write`, then `python -m tools.generated`.")
    return found
