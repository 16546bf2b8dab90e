"""What docs/reliability.md names as the proof of a promise is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
FILES = {path.name: path.read_text() for path in (ROOT / "tests").rglob("*.py")}


def named() -> Iterator[tuple[str, str]]:
    """Each file that the table of promises names, and what it names in it."""
    _, _, rest = PAGE.partition("## What is promised, and what shows it\n")
    table, _, _ = rest.partition("\n## ")
    for row in re.findall(r"^\| .* \| (.*) \|$", table, re.M):
        file = ""
        for name in re.findall(r"`([^`]+)`", row):
            file = name if name.endswith(".py") else file
            yield file, name


@pytest.mark.parametrize(("file", "name"), sorted(set(named())))
def test_what_shows_a_promise_is_there(file: str, name: str) -> None:
    assert file in FILES
    if name != file:
        assert f"def test_{name}(" in FILES[file] or f'"{name}"' in FILES[file]


def test_there_are_promises() -> None:
    assert len(set(named())) > 50
