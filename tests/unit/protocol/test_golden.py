"""What older processes send is still understood: one JSON file per message, never edited."""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import msgspec
import pytest
from msgspec import Struct

from mesh import protocol
from mesh.protocol.catalogue import travelling
from tools.golden import files_of, missing_fields, tag_of

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden"
MODULES = [import_module(f"mesh.protocol.{each.name}") for each in iter_modules(protocol.__path__)]
HINT = "run `python -m tools.golden`"


def name_of(kind: type[Struct]) -> str:
    return kind.__name__


@pytest.mark.parametrize("kind", travelling(), ids=name_of)
def test_a_golden_message_is_read_and_said_again_without_loss(kind: type[Struct]) -> None:
    files = files_of(kind, GOLDEN)
    assert files, HINT
    for path in files:
        message = msgspec.json.decode(path.read_bytes(), type=kind)
        assert msgspec.json.format(msgspec.json.encode(message)) == path.read_bytes().rstrip()


@pytest.mark.parametrize("kind", travelling(), ids=name_of)
def test_every_field_stands_in_some_golden_file(kind: type[Struct]) -> None:
    assert not missing_fields(kind, GOLDEN), HINT


def test_every_golden_file_is_of_a_message_that_travels() -> None:
    known = {path for kind in travelling() for path in files_of(kind, GOLDEN)}
    assert set(GOLDEN.iterdir()) == known


def test_every_tagged_message_is_in_the_catalogue() -> None:
    tagged = {
        kind
        for module in MODULES
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Struct) and kind.__struct_config__.tag
    }
    assert tagged == set(travelling())
    assert len({tag_of(kind) for kind in tagged}) == len(tagged)
