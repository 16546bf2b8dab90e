"""`mesh up` on a disk that is full for a while: it says so, and goes on by itself."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.reading import Reading, said
from tests.acceptance.whole import Mesh
from tests.chaos.small_disk import SmallDisk, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "mesh data" / "broker" / "streams", 24 << 20) as disk:
        yield disk


@pytest.fixture
def confined(disk: SmallDisk, tmp_path: Path) -> Iterator[Mesh]:
    """A mesh whose broker keeps its streams on that disk."""
    mesh = Mesh(tmp_path, echo_rate="40")
    mesh.prefix = disk.prefix
    mesh.start()
    yield mesh
    mesh.end()


@pytest.mark.timeout(400)
def test_a_mesh_whose_disk_was_full_goes_on_by_itself(confined: Mesh, disk: SmallDisk) -> None:
    reading = Reading(confined.url, 300)
    reading.start()
    reading.await_tokens(20)
    disk.fill(leaving=0)
    confined.wait_for("is full: answers wait")
    refusal = httpx.post(f"{confined.url}/generate", json={"prompt": "hello"}, timeout=60)
    assert refusal.status_code == 503
    assert not reading.last, "it waits"
    confined.children()["broker"].kill()
    confined.wait_for("starting it again")
    disk.empty()
    confined.wait_for("There is room again")
    reading.finish()
    assert reading.texts == said(300)
    again = httpx.post(f"{confined.url}/generate", json={"prompt": "hello"}, timeout=60)
    assert again.status_code == 200
    confined.stop()
