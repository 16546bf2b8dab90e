"""The broker's process and its folder: one at a time, and known to be alive or not."""

import asyncio
import threading
from pathlib import Path

import pytest

from mesh.bus.connection import Bus
from mesh.cli import broker as process
from mesh.cli.broker import Greeting, is_running, listening, reload, running_mark
from mesh.cli.enrol import BrokerFolder, Credential
from mesh.protocol.errors import MeshError
from tests.chaos.wires import Wire
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


def reloads(broker: Broker) -> int:
    """How often it has read its users again."""
    return broker.log.read_text().count("Reloaded server configuration")


def test_a_broker_that_stands_still_is_neither_told_to_reload_nor_taken_for_another(
    broker: Broker,
) -> None:
    known, before = broker.credentials("w1"), reloads(broker)
    broker.pause()
    try:
        assert broker.credentials("w1") == known
    finally:
        broker.resume()
    assert process.greeting(broker.host, broker.port, known) is Greeting.WELCOME
    assert reloads(broker) == before


def test_a_stranger_is_told_so(broker: Broker) -> None:
    known = broker.credentials("w1")
    stranger = Credential("w1", "another")
    assert process.greeting(broker.host, broker.port, stranger) is Greeting.REFUSAL
    broker.kill()
    assert process.greeting(broker.host, broker.port, known) is Greeting.SILENT


async def test_who_comes_while_the_broker_reads_its_users_again_is_let_in(
    broker: Broker,
) -> None:
    """It refuses then whoever has not said who they are yet."""
    known = broker.credentials("w1")
    done = threading.Event()

    def reread() -> None:
        while not done.wait(0.5):
            reload(broker.folder)

    wire = Wire(broker.port)
    await wire.start()
    wire.delay = 0.03
    rereading = threading.Thread(target=reread)
    rereading.start()
    try:
        url = f"nats://127.0.0.1:{wire.port}"
        for number in range(200):
            bus = await asyncio.wait_for(Bus.connect([url], *known), 60)
            await bus.close()
            if number > 12 and "authentication error" in broker.log.read_text():
                break  # somebody came at such a moment, at least once
    finally:
        done.set()
        rereading.join()
        await wire.close()
    assert "authentication error" in broker.log.read_text(), "nobody came at such a moment"
