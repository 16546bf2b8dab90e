"""What a service waits for at its start it says, and it leaves at once when it is asked to."""

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import until
from tests.acceptance.whole import Mesh


@pytest.fixture
def alone(mesh: Mesh) -> Mesh:
    """A data folder with its secrets, and no broker."""
    assert mesh.run("join", "attic").returncode == 0
    return mesh


def left(process: subprocess.Popen[bytes], ready: Callable[[], bool], what: str) -> float:
    """Seconds from SIGTERM, sent once it is `ready`, to its end."""
    try:
        until(what, ready)
        process.terminate()
        asked = time.monotonic()
        assert process.wait(timeout=60) == 0
        return time.monotonic() - asked
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("service", ["store", "gateway", "worker"])
def test_without_a_broker_it_says_so_and_can_be_stopped(
    alone: Mesh, service: str, tmp_path: Path
) -> None:
    log = tmp_path / "service.log"
    with log.open("wb") as output:
        process = alone.spawn(service, output=output.fileno())
    where = f"127.0.0.1:{alone.nats_port}"
    left(process, lambda: f"No broker answers at nats://{where} yet" in log.read_text(), where)
    assert not list((alone.data_dir / "broker").glob("workers/*"))


def test_a_worker_can_be_stopped_while_its_model_is_downloaded(alone: Mesh) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hub:  # takes the call and says nothing
        hub.settimeout(60)
        alone.environment["MESH_ENGINE"] = "auto"
        alone.environment["HF_ENDPOINT"] = f"http://127.0.0.1:{hub.getsockname()[1]}"
        process = alone.spawn("worker", "--model", "hf:ada/model:model.gguf")
        call, _ = hub.accept()
        with call:
            assert left(process, lambda: True, "the hub is called") < 5
    assert not list((alone.data_dir / "broker" / "workers").iterdir())
