"""What a data folder knows of the mesh that runs on it, whatever state it is in."""

from pathlib import Path

import pytest

from mesh.cli.enrol import BrokerFolder
from mesh.cli.local import Running, recall, remember, settings_of
from mesh.protocol.errors import MeshError
from mesh.settings import OperatorSettings

RUNNING = Running(
    pid=1, nats_host="127.0.0.1", nats_port=4999, gateway="http://127.0.0.1:8999", tls=False
)


def test_what_was_remembered_is_recalled(tmp_path: Path) -> None:
    remember(tmp_path, RUNNING)
    assert recall(tmp_path) == RUNNING


def test_a_record_that_is_spoilt_or_cannot_be_there_is_none(tmp_path: Path) -> None:
    remember(tmp_path, RUNNING)
    (tmp_path / "running.json").write_text("{")
    assert recall(tmp_path) is None
    assert recall(tmp_path / "running.json") is None


def test_a_command_on_a_file_says_that_there_is_no_mesh(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("")
    with pytest.raises(MeshError, match="There is no mesh in"):
        settings_of("operator", OperatorSettings, {"data_dir": str(file)})


def test_a_command_finds_the_broker_of_its_data_folder(tmp_path: Path) -> None:
    BrokerFolder(tmp_path).prepare()
    remember(tmp_path, RUNNING)
    found = settings_of("operator", OperatorSettings, {"data_dir": str(tmp_path)})
    assert found.servers == ["nats://127.0.0.1:4999"]
