"""The broker's folder: passwords, users, and what a worker's user is."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mesh.cli.enrol import ROLES, BrokerFolder, new_password, render
from mesh.cli.names import name_held
from mesh.protocol.errors import ErrorCode, MeshError


@pytest.fixture
def folder(tmp_path: Path) -> BrokerFolder:
    folder = BrokerFolder(tmp_path / "data")
    folder.prepare()
    return folder


def test_passwords_are_made_once_and_are_all_different(folder: BrokerFolder) -> None:
    before = [folder.credential(role).password for role in ROLES]
    folder.prepare()
    assert [folder.credential(role).password for role in ROLES] == before
    assert len(set(before)) == len(ROLES)


def test_only_the_owner_may_look(folder: BrokerFolder) -> None:
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    for file in (folder.config, folder.path / "secrets.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_enrolling_again_keeps_the_password_unless_another_machine_gets_it(
    folder: BrokerFolder,
) -> None:
    first = folder.enrol("w1")
    assert folder.enrol("w1") == first
    assert folder.enrol("w1", elsewhere=True) != first


def test_enrolling_at_the_same_time_loses_nobody(folder: BrokerFolder) -> None:
    names = [f"w{number}" for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        credentials = list(pool.map(folder.enrol, names))
    assert [folder.credential(name) for name in names] == credentials
    config = folder.config.read_text()
    assert all(credential.password in config for credential in credentials)


def test_a_removed_worker_is_no_user_any_more(folder: BrokerFolder) -> None:
    credential = folder.enrol("w1")
    folder.remove("w1")
    assert credential.password not in folder.config.read_text()
    with pytest.raises(MeshError, match="mesh join w1"):
        folder.credential("w1")
    with pytest.raises(MeshError, match="No worker named 'w1'"):
        folder.remove("w1")


@pytest.mark.parametrize("name", ["", "a.b", "a b", "*", ">", "é", "x" * 41, *ROLES, "fleet"])
def test_a_name_that_would_be_somebody_elses_or_a_wildcard_is_refused(
    folder: BrokerFolder, name: str
) -> None:
    with pytest.raises(MeshError) as refused:
        folder.enrol(name)
    assert refused.value.code is ErrorCode.BAD_REQUEST


def test_without_a_mesh_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MeshError, match=r"`mesh up`.*MESH_DATA_DIR"):
        BrokerFolder(tmp_path / "nothing").credential("store")


def test_a_folder_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MeshError, match="MESH_DATA_DIR"):
        BrokerFolder(tmp_path / "file" / "data").prepare()


def test_workers_take_the_first_free_name(folder: BrokerFolder) -> None:
    folder.enrol("w2", elsewhere=True)
    with name_held(folder) as first, name_held(folder) as second:
        assert (first, second) == ("w1", "w3")
        with pytest.raises(MeshError, match="w1 runs on this machine"), name_held(folder, "w1"):
            pass
    with name_held(folder) as again:
        assert again == "w1"
    assert not list(folder.workers.iterdir())


def test_no_password_looks_like_a_number() -> None:
    assert all(new_password().startswith("mesh-") for _ in range(50))


def test_every_workers_rights_carry_its_own_name() -> None:
    users = [line for line in render({"w1": "a", "w2": "b"}).splitlines() if '"user"' in line]
    assert len(users) == 2
    assert "w2" not in users[0] and "w1" not in users[1]


def test_passwords_that_cannot_be_read_are_said_in_a_sentence(folder: BrokerFolder) -> None:
    secrets = folder.path / "secrets.json"
    secrets.write_text("{")
    with pytest.raises(MeshError, match="secrets.json is damaged"):
        folder.secrets()
    secrets.unlink()
    secrets.mkdir()
    with pytest.raises(MeshError, match="secrets.json cannot be read, is a directory"):
        folder.secrets()


def test_a_file_in_the_place_of_a_data_folder_is_no_mesh(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("")
    with pytest.raises(MeshError, match="There is no mesh in"):
        BrokerFolder(file).secrets()
