"""`mesh join` with what can never be leaves nothing behind."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from mesh.cli.join import command
from mesh.protocol.errors import MeshError


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a.b",), "cannot be named 'a.b'"),
        (("store",), "cannot be named 'store'"),
        (("clock", "--tools", "a.b"), "cannot be named 'a.b'"),
        (("a.b", "--remove"), "There is no mesh in"),
    ],
)
def test_a_name_that_cannot_be_leaves_no_data_folder(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    data = tmp_path / "mesh"
    result = CliRunner().invoke(command, [*words, "--data-dir", str(data)])
    assert isinstance(result.exception, MeshError) and said in result.exception.detail
    assert not data.exists()
