"""What the tests of notebooks share: a mesh that they only use, and comms without a kernel."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm

from mesh_client.notebook import Mesh as NotebookMesh
from tests.whole_mesh import Mesh
from tests.whole_mesh import mesh as mesh
from tests.whole_mesh import new_mesh as new_mesh


@pytest.fixture
def here(mesh: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NotebookMesh]:
    """The shared mesh as a notebook of one's own sees it, and as its environment names it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("MESH_URL", mesh.url)
    monkeypatch.setenv("MESH_USER", tmp_path.name)
    found = NotebookMesh()
    yield found
    found.close()


class Page:
    """The other end of all comms: what a browser page would be told, and says."""

    def __init__(self) -> None:
        self.comms: dict[str, FakeComm] = {}
        self.told: list[tuple[str, dict[str, Any]]] = []
        """(comm id, content) of every message, in order."""

    def say(self, comm_id: str, content: object) -> None:
        """A custom message of the page to a widget."""
        data = {"method": "custom", "content": content}
        self.comms[comm_id].handle_msg({"content": {"data": data}, "buffers": []})

    def custom(self, comm_id: str) -> list[dict[str, Any]]:
        """The custom messages that a widget was told."""
        found = [data for told, data in self.told if told == comm_id]
        return [data["content"] for data in found if data.get("method") == "custom"]

    def states(self, comm_id: str) -> list[dict[str, Any]]:
        """The states that a widget was told, the first one by its opening."""
        return [data["state"] for told, data in self.told if told == comm_id and "state" in data]


class FakeComm(BaseComm):
    """A comm whose other end is a `Page`."""

    page: Page

    def publish_msg(
        self,
        msg_type: str,
        data: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        buffers: list[bytes] | None = None,
        **keys: Any,
    ) -> None:
        self.page.comms[self.comm_id] = self
        self.page.told.append((self.comm_id, deepcopy(data or {})))  # as it is now


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """The page that widgets of this test talk to."""
    found = Page()

    def create(*arguments: Any, **named: Any) -> FakeComm:
        FakeComm.page = found
        return FakeComm(*arguments, **named)

    monkeypatch.setattr(comm, "create_comm", create)
    return found
