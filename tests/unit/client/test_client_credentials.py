"""Where tokens are kept, and who may read them."""

import stat
import subprocess
import sys
from pathlib import Path

from mesh_client.credentials import Credentials, FileStore

SAVE = """
import sys
from pathlib import Path
from mesh_client.credentials import Credentials, FileStore

store = FileStore(sys.argv[1], Path(sys.argv[2]))
for number in range(200):
    kept = Credentials(username=str(number), access_token="secret-a", refresh_token="secret-r")
    store.save(kept)
    assert store.load() == kept, number
"""

ADA = Credentials(username="ada", access_token="secret-a", refresh_token="secret-r")


def test_a_sign_in_is_kept_per_gateway(tmp_path: Path) -> None:
    path = tmp_path / "mesh" / "credentials.json"
    FileStore("http://one", path).save(ADA)
    assert FileStore("http://one", path).load() == ADA
    assert FileStore("http://two", path).load() is None


def test_the_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    FileStore("http://one", path).save(ADA)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_forgetting_leaves_other_gateways_alone(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    one, two = FileStore("http://one", path), FileStore("http://two", path)
    one.save(ADA)
    two.save(ADA)
    one.save(None)
    assert (one.load(), two.load()) == (None, ADA)


def test_a_damaged_file_counts_as_empty_and_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    path.write_bytes(b"\xff{")
    store = FileStore("http://one", path)
    assert store.load() is None
    store.save(ADA)
    assert store.load() == ADA


def test_tokens_are_not_shown() -> None:
    assert "secret" not in repr(ADA)


def test_processes_that_save_at_once_lose_nobodys_sign_in(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    urls = [f"http://gateway{number}" for number in range(3)]
    saving = [subprocess.Popen([sys.executable, "-c", SAVE, url, str(path)]) for url in urls]
    assert [each.wait(timeout=60) for each in saving] == [0, 0, 0]
    kept = [FileStore(url, path).load() for url in urls]
    assert [each and each.username for each in kept] == ["199"] * 3
    assert list(tmp_path.iterdir()) == [path]
