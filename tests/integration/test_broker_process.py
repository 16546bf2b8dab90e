"""The broker's process and its folder: one at a time, and known to be alive or not."""

import threading
from pathlib import Path

import pytest

from mesh.cli.broker import is_running, listening, reload, running_mark
from mesh.cli.enrol import BrokerFolder
from mesh.protocol.errors import MeshError
from tests.conftest import Broker, free_port


def test_a_broker_is_known_to_run_until_it_is_killed(broker: Broker) -> None:
    assert is_running(broker.folder)
    broker.kill()
    assert not is_running(broker.folder)


def test_a_second_broker_on_the_same_folder_is_refused(broker: Broker) -> None:
    with pytest.raises(MeshError, match="already"), running_mark(broker.folder):
        pass


def test_a_stale_pid_file_is_nobodys(broker: Broker) -> None:
    """A number in a file may by now be any process's: without the lock nobody is signalled."""
    broker.kill()
    assert broker.folder.pid_file.exists()
    assert not is_running(broker.folder)
    broker.credentials("w1")
    broker.start()
    assert broker.credentials("w1") == broker.folder.credential("w1")


def test_looking_whether_one_runs_does_not_keep_one_from_starting(tmp_path: Path) -> None:
    folder = BrokerFolder(tmp_path)
    folder.prepare()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            is_running(folder)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        for _ in range(200):
            with running_mark(folder):
                pass
    finally:
        done.set()
        looker.join()


def test_who_listens_on_a_port_is_told_apart(broker: Broker) -> None:
    found = listening(broker.host, broker.port)
    assert found is not None and found.version.startswith("2.")
    assert listening(broker.host, free_port()) is None


def test_reloading_without_a_broker_does_nothing(tmp_path: Path) -> None:
    reload(BrokerFolder(tmp_path))
