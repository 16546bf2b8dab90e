"""docs/rows.md says of each row where it is done and what shows that: all of it has to be there."""

import re
from pathlib import Path

import pytest

from tests.served import served

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rows.md").read_text()
ROWS = [
    row
    for row in PAGE.split("\n")
    if row.startswith("| ") and not row.startswith("| | what is done | routes |")
]


def test_every_test_that_it_names_is_there() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    there = set(re.findall(r"def (test_\w+)\(", tests))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named - there == set() and len(named) > 100


def test_every_route_that_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:GET|POST|PUT|DELETE) /[^` ]*)`", PAGE))
    assert named - set(served()) == set() and len(named) > 50


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:50])
def test_every_row_is_done_somewhere_and_shown_by_a_test(row: str) -> None:
    name, done, where, shown = (cell.strip() for cell in row.strip("| ").split(" | "))
    assert name and done and where
    assert re.search(r"`test_\w+`", shown)


def test_it_is_whole() -> None:
    """Each row of the four lists is there once, under its name, and in its section."""
    named = {
        part.partition("\n")[0]: re.findall(r"^\| (\w+) \| ", part, re.M)
        for part in PAGE.split("\n## ")[1:]
    }
    assert named == {
        "Chats": [f"A{number}" for number in range(1, 34)],
        "Generate": [f"B{number}" for number in range(1, 8)],
        "Assistants, threads and runs": [f"C{number}" for number in range(1, 12)],
        "Ask": [f"D{number}" for number in range(1, 7)],
    }
