"""The table of docs/api.md: what clients have shown to work, as their last run had it."""

from tests.conformance.results import Counts, kept


def supported() -> str:
    """A row for everything that was shown, with who showed it in how many tests."""
    shown: dict[str, list[str]] = {}
    for client, features in sorted(kept().items()):
        for feature, counts in features.items():
            shown.setdefault(feature, []).append(_told(client, counts))
    rows = [f"| {feature} | {', '.join(clients)} |" for feature, clients in sorted(shown.items())]
    table = ["| supported | shown by (tests) |", "|---|---|", *rows]
    skipped = _skipped()
    return "\n".join([*table, "", "Skipped, and why (times):", "", *skipped] if skipped else table)


def _skipped() -> list[str]:
    """A line for each client of which something was skipped."""
    return [
        f"- {client}, {feature}: "
        + "; ".join(f"{why.rstrip('.')} ({times})" for why, times in counts.get("why", {}).items())
        for client, features in sorted(kept().items())
        for feature, counts in features.items()
        if counts["skipped"]
    ]


def _told(client: str, counts: Counts) -> str:
    told = [str(counts["passed"])] if counts["passed"] > 1 else []
    told += [f"{counts['skipped']} skipped"] if counts["skipped"] else []
    if "routes" in counts:
        told += [f"{counts['routes']} of {counts['of_routes']} routes"]
    return f"{client} ({', '.join(told)})" if told else client
