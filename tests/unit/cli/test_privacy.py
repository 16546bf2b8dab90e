"""What of a mesh other users of its machine can read is told, wherever it lies."""

from pathlib import Path

import pytest

from mesh.cli.enrol import BrokerFolder
from mesh.cli.findings import Finding
from mesh.cli.privacy import folder
from mesh.settings import StoreSettings

SECRETS = [
    "broker/secrets.json",
    "broker/workers.conf",
    "broker/tls/key.pem",
    "token.key",
    "admin-password",
    "mesh.db",
    "mesh.db-wal",
    "mesh.db-shm",
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with all that a mesh keeps, nothing of it open to others but its folders."""
    path = tmp_path / "mesh"
    BrokerFolder(path).prepare(tls=True)
    for name in SECRETS:
        (path / name).touch(mode=0o600)
    for opened in (path, path / "broker", path / "broker" / "tls"):
        opened.chmod(0o755)
    return path


def looked(data: Path, database: str = "") -> list[Finding]:
    stored = StoreSettings(data_dir=str(data), database=database)
    return list(folder(stored.data_path, stored.database_path, remote=False))


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_others_can_read_is_told(data: Path, name: str) -> None:
    (found,) = looked(data)
    assert found.state == "warn", found.sentence
    (data / name).chmod(0o644)
    (found,) = looked(data)
    assert found.state == "fail"
    assert f"can read {name}: " in found.sentence


def test_the_log_has_peoples_words_too(data: Path) -> None:
    (data / "broker" / "streams").chmod(0o755)
    (found,) = looked(data)
    assert found.state == "fail" and "can read broker/streams: " in found.sentence


@pytest.mark.parametrize("shut", ["", "broker", "broker/tls"])
def test_a_folder_that_is_private_keeps_what_is_in_it(data: Path, shut: str) -> None:
    (data / "broker" / "tls" / "key.pem").chmod(0o644)
    (data / shut).chmod(0o700)
    assert [found.state for found in looked(data)] == ["warn" if shut else "ok"]


@pytest.mark.parametrize("more", ["", "-wal", "-shm"])
def test_a_database_elsewhere_is_looked_at_where_it_is(
    data: Path, tmp_path: Path, more: str
) -> None:
    data.chmod(0o700)
    place = tmp_path / "disk two"
    place.mkdir(mode=0o755)
    path = place / "chats.db"
    path.touch(mode=0o600)
    assert [found.state for found in looked(data, str(path))] == ["ok"]
    opened = place / f"chats.db{more}"
    opened.touch()
    opened.chmod(0o644)
    _, found = looked(data, str(path))
    assert (found.state, found.check) == ("fail", "data folder")
    assert found.sentence.endswith(f"type: chmod go= '{opened.resolve()}'")
    place.chmod(0o700)
    assert [found.state for found in looked(data, str(path))] == ["ok"]


def test_a_database_that_is_not_there_is_nobodys_to_read(data: Path, tmp_path: Path) -> None:
    assert [found.state for found in looked(data, str(tmp_path / "none" / "mesh.db"))] == ["warn"]


def test_a_data_folder_on_another_machine_is_not_looked_for(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    (found,) = folder(nowhere, nowhere / "mesh.db", remote=True)
    assert found.state == "ok"
    (found,) = folder(nowhere, nowhere / "mesh.db", remote=False)
    assert found.state == "fail"
