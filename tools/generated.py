"""The tables of the documents that are made from the code, so that they cannot differ from it.

    python -m tools.generated [--check]

writes each table anew between its markers, `<!-- NAME: generated -->` and `<!-- NAME: end -->`, in
README.md and docs/; with --check it only says whether they are in step, by its exit status.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tools import (
    conformance_table,
    error_table,
    openai_table,
    protocol_table,
    refusal_table,
    settings_table,
)

TABLES: Mapping[str, Callable[[], str]] = {
    "channels": protocol_table.channels,
    "calls": protocol_table.calls,
    "settings": settings_table.settings,
    "errors": error_table.errors,
    "openai-chat": openai_table.chat,
    "openai-text": openai_table.text,
    "openai-responses": openai_table.responses,
    "openai-embeddings": openai_table.embeddings,
    "conformance": conformance_table.supported,
    "refusals-groups": refusal_table.groups,
    "refusals-parts": refusal_table.parts,
    "refusals-routes": refusal_table.routes,
}


def documents(root: Path) -> list[Path]:
    """Every document in which a table may stand."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def renew(text: str) -> str:
    """A document with the tables between its markers made anew."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: generated -->\n", f"<!-- {name}: end -->"
        head, found, rest = text.partition(begin)
        if found:
            text = f"{head}{begin}{table()}\n{end}{rest.partition(end)[2]}"
    return text


def stale(root: Path) -> list[Path]:
    """The documents whose tables are not what the code says now."""
    return [path for path in documents(root) if renew(path.read_text()) != path.read_text()]


def main() -> None:
    old = stale(Path())
    if "--check" in sys.argv[1:]:
        names = ", ".join(map(str, old))
        sys.exit(f"{names} are not in step: run `python -m tools.generated`." if old else 0)
    for path in old:
        path.write_text(renew(path.read_text()))


if __name__ == "__main__":
    main()
