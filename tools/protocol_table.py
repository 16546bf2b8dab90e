"""The protocol tables of the documents, generated from the catalogue.

    python -m tools.protocol_table [--check]

rewrites what stands between the markers in README.md and docs/protocol.md; with --check it only
says whether they are in step, by its exit status.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from mesh.protocol.catalogue import CALLS, CHANNELS, Channel, Role

FILES = (Path("README.md"), Path("docs/protocol.md"))


def channels() -> str:
    """Every subject: who says what on it, who hears it."""
    rows = [
        (
            f"`{channel.pattern}`",
            channel.kind,
            _messages(channel),
            _roles(channel.publishers),
            _roles((*channel.subscribers, *channel.readers)),
            channel.purpose,
        )
        for channel in CHANNELS
    ]
    return _table(("subject", "kind", "messages", "from", "to", "purpose"), rows)


def calls() -> str:
    """Every call of JetStream's API, and who may make it."""
    rows = [(f"`{call.pattern}`", _roles(call.callers) or "nobody", call.purpose) for call in CALLS]
    return _table(("call", "by", "purpose"), rows)


TABLES = {"channels": channels, "calls": calls}


def renew(text: str) -> str:
    """A document with the tables between its markers made anew."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: generated -->\n", f"<!-- {name}: end -->"
        head, found, rest = text.partition(begin)
        if found:
            text = f"{head}{begin}{table()}\n{end}{rest.partition(end)[2]}"
    return text


def _messages(channel: Channel) -> str:
    said = _names(channel.messages)
    return f"{said} → {_names(channel.answers)}" if channel.answers else said


def _names(kinds: Iterable[type[Struct]]) -> str:
    names = [f"`{kind.__name__}`" for kind in kinds]
    return ", ".join(names) if len(names) <= 6 else f"{len(names)} kinds"


def _roles(roles: Iterable[Role]) -> str:
    return ", ".join(roles)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    documents = [path for path in FILES if path.exists()]
    stale = [path for path in documents if renew(path.read_text()) != path.read_text()]
    if "--check" in sys.argv[1:]:
        sys.exit(f"Run `python -m tools.protocol_table`: {stale} are stale." if stale else 0)
    for path in stale:
        path.write_text(renew(path.read_text()))


if __name__ == "__main__":
    main()
