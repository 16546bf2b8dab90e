"""What is kept of the clients' runs: the table is made of it, and a change of it is noticed."""

import json
import re
from pathlib import Path

import pytest

from tests.conformance import environments, results
from tests.conformance.__main__ import CLIENTS, ENVIRONMENTS, files_of
from tools import conformance_table

FRESH = {"openai 9.9": {"chat": {"passed": 2, "failed": 0, "skipped": 1}}}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "results.json"
    monkeypatch.setattr(results, "KEPT", path)
    results.keep(FRESH)
    return path


def test_the_same_again_is_no_difference(kept: Path) -> None:
    assert results.differences(FRESH) == []


def test_what_a_client_shows_no_more_is_said(kept: Path) -> None:
    fewer = {"openai 9.9": {"chat": {"passed": 1, "failed": 1, "skipped": 1}}}
    assert "chat" in results.differences(fewer)[0]
    assert results.differences({"openai 10.0": FRESH["openai 9.9"]})
    assert results.differences({}) == []  # it did not run


def test_the_table_names_who_showed_what(kept: Path) -> None:
    assert "| chat | openai 9.9 (2, 1 skipped) |" in conformance_table.supported()


def test_what_is_kept_was_shown_by_the_pinned_versions() -> None:
    """Nothing failed, and nothing is kept of a version that is tried no more."""
    pins = "\n".join((environments.FOLDER / f"{name}.txt").read_text() for name in ENVIRONMENTS)
    pinned = {line.replace("==", " ") for line in pins.lower().splitlines()}
    pinned.add(environments.CANARY.replace("@", " "))
    kept = json.loads(results.KEPT.read_text())
    assert {client.lower() for client in kept} <= pinned
    counts = [each for shown in kept.values() for each in shown.values()]
    assert len(counts) > 40 and all(c["passed"] and not c["failed"] for c in counts)


def test_every_environment_is_exact_and_names_no_index() -> None:
    assert environments.names() == sorted(ENVIRONMENTS)
    for name in environments.names():
        lines = (environments.FOLDER / f"{name}.txt").read_text().splitlines()
        assert lines and all(re.fullmatch(r"[\w.\-]+==[\w.]+", line) for line in lines)


def test_every_client_has_its_environment() -> None:
    clients = {client for group in ENVIRONMENTS.values() for client in group}
    files = [path for client in clients for path in files_of(client)]
    assert sorted(files) == sorted(CLIENTS.glob("client_*.py"))


def test_an_environment_that_cannot_be_made_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.txt").write_text("no such requirement !\n")
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    with pytest.raises(environments.NotMade, match="pip"):
        environments.python_of(tmp_path / "cache", "broken")
