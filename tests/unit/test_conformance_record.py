"""What is kept of the clients' runs: the table is made of it, and a change of it is noticed."""

import json
import re
from pathlib import Path

import pytest

from tests.conformance import environments, results
from tests.conformance.__main__ import CLIENTS, ENVIRONMENTS, files_of
from tests.conformance.results import Results
from tools import conformance_table

FRESH: Results = {
    "openai 9.9": {
        "chat": {"passed": 2, "failed": 0, "skipped": 1, "why": {"It takes no images.": 1}},
        "routes": {"passed": 1, "failed": 0, "skipped": 0, "routes": 8, "of_routes": 9},
    }
}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "results.json"
    monkeypatch.setattr(results, "KEPT", path)
    results.keep(FRESH)
    return path


def test_the_same_again_is_no_difference(kept: Path) -> None:
    assert results.differences(FRESH) == []


def test_what_a_client_shows_no_more_is_said(kept: Path) -> None:
    fewer: Results = {"openai 9.9": {"chat": {"passed": 1, "failed": 1, "skipped": 1}}}
    assert "chat" in results.differences(fewer)[0]
    assert results.differences({"openai 10.0": FRESH["openai 9.9"]})
    assert results.differences({}) == []  # it did not run


def test_the_table_names_who_showed_what(kept: Path) -> None:
    table = conformance_table.supported()
    assert "| chat | openai 9.9 (2, 1 skipped) |" in table
    assert "| routes | openai 9.9 (8 of 9 routes) |" in table
    assert "\n- openai 9.9, chat: It takes no images (1)" in table


def test_whatever_was_skipped_says_why_and_every_route_was_asked() -> None:
    kept = [counts for shown in results.kept().values() for counts in shown.values()]
    assert all(sum(c.get("why", {}).values()) == c["skipped"] for c in kept)
    of_all = [(c["routes"], c["of_routes"]) for c in kept if "routes" in c]
    assert of_all and all(asked == there > 100 for asked, there in of_all)


def test_what_is_kept_was_shown_by_the_pinned_versions() -> None:
    """Nothing failed, and nothing is kept of a version that is tried no more."""
    pins = "\n".join((environments.FOLDER / f"{name}.txt").read_text() for name in ENVIRONMENTS)
    pinned = {line.replace("==", " ") for line in pins.lower().splitlines()}
    pinned |= {environments.CANARY.replace("@", " "), environments.provider_version()}
    kept = json.loads(results.KEPT.read_text())
    assert {client.lower() for client in kept} <= pinned
    counts = [each for shown in kept.values() for each in shown.values()]
    assert len(counts) > 40 and all(c["passed"] and not c["failed"] for c in counts)


def test_every_environment_is_exact_and_names_no_index() -> None:
    assert environments.names() == sorted(ENVIRONMENTS)
    for name in environments.names():
        lines = (environments.FOLDER / f"{name}.txt").read_text().splitlines()
        assert lines and all(re.fullmatch(r"[\w.\-]+==[\w.]+", line) for line in lines)
    lock = json.loads((environments.OPENID / "package-lock.json").read_text())
    assert lock["packages"] and not any("resolved" in each for each in lock["packages"].values())


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
