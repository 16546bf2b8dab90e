"""The key that signs access tokens: made once, kept, and refused at start if it is too short."""

from pathlib import Path

import pytest

from mesh.gateway.tokens import signing_key
from mesh.protocol.errors import MeshError
from mesh.settings import GatewaySettings


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    settings = GatewaySettings(data_dir=str(tmp_path))
    key = signing_key(settings)
    assert len(key) >= 32 and signing_key(settings) == key
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kept", ["", "short", "x" * 31])
def test_a_kept_key_that_was_cut_off_is_refused(tmp_path: Path, kept: str) -> None:
    file = tmp_path / "token.key"
    file.write_text(kept)
    with pytest.raises(MeshError, match="token.key is cut off: delete the file") as refused:
        signing_key(GatewaySettings(data_dir=str(tmp_path)))
    assert not kept or kept not in refused.value.detail


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeshError, match="^Set MESH_TOKEN_SECRET to at least 32 characters"):
        signing_key(GatewaySettings(data_dir=str(tmp_path), token_secret="x" * 31))
    secret = "x" * 32
    assert signing_key(GatewaySettings(data_dir=str(tmp_path), token_secret=secret)) == secret
