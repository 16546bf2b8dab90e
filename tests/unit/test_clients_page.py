"""docs/clients.md says of each promise what shows it: whatever it names has to be there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "clients.md").read_text()


def test_every_test_that_it_names_is_there() -> None:
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"def (test_\w+)\(", written))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named - there == set() and len(named) > 50


def test_every_file_that_it_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", PAGE)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_promise_is_shown_by_something() -> None:
    rows = [row for row in PAGE.split("\n") if row.startswith("| ") and "---" not in row]
    shown = re.compile(r"`test_|\]\(images/|`tests/|`python -m benchmarks")
    head = ("| what is promised |", "| trouble |")
    assert [row for row in rows if not row.startswith(head) and not shown.search(row)] == []


def test_every_picture_is_shown_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    text = "\n".join(page.read_text() for page in pages)
    there = {path.name for path in (ROOT / "docs" / "images").iterdir()}
    assert {name for name in there if f"images/{name}" not in text} == set()
