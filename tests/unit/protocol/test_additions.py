"""Versions of one protocol understand each other: what was added later is optional, and ignored."""

import json
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from mesh.protocol.catalogue import travelling
from mesh.protocol.codec import decode_event
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Failed
from tests.neighbours import newer, older
from tools.golden import files_of

ROOT = Path(__file__).parents[3]


def cases() -> list[tuple[type[Struct], Path]]:
    """Every message that travels with each of its golden files."""
    folder = ROOT / "tests" / "golden"
    return [(kind, path) for kind in travelling() for path in files_of(kind, folder)]


def name_of(case: tuple[type[Struct], Path]) -> str:
    return case[1].stem


@pytest.mark.parametrize("case", cases(), ids=name_of)
def test_what_a_newer_version_says_is_understood(case: tuple[type[Struct], Path]) -> None:
    kind, path = case
    changed = json.dumps(newer(json.loads(path.read_text()))).encode()
    assert b"added" in changed
    ours = msgspec.json.decode(path.read_bytes(), type=kind)
    assert msgspec.json.decode(changed, type=kind) == ours


@pytest.mark.parametrize("case", cases(), ids=name_of)
def test_what_an_older_version_says_is_understood(case: tuple[type[Struct], Path]) -> None:
    """What is left of a message where nothing is known that was added since its first file."""
    kind, path = case
    message = json.loads(path.read_text())
    said = older(message)
    assert said.keys() <= message.keys()
    msgspec.json.decode(json.dumps(said).encode(), type=kind)


def test_an_end_with_a_code_of_a_newer_version_is_an_end() -> None:
    end = decode_event(b'{"type": "failed", "uid": "u", "code": "out_of_luck", "text": "so far"}')
    assert isinstance(end, Failed)
    assert (end.code, end.text) == (ErrorCode.INTERNAL, "so far")
