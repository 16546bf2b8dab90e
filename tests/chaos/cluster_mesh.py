"""The mesh of a campaign around three brokers that are one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.chaos.cluster import Cluster
from tests.chaos.mesh import Mesh
from tests.chaos.story import Reachable

CLUSTERED = {"replicas": "3", "ack_wait": "30"}
"""Settings as a cluster wants them: while a leader is chosen the queue hands out again too early,
were it less patient."""


class ClusterMesh(Mesh):
    """Its services know all three; what can be cut are the routes between these.

    workers: how many there may be, `w1` and so on.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str],
        without: Mapping[str, Sequence[str]] | None,
        workers: int,
    ) -> None:
        super().__init__(folder, settings, without)
        names = tuple(f"w{number}" for number in range(1, workers + 1))
        self._nodes = self.cluster = Cluster(folder, names, wired=True)
        self._environment["MESH_DATA_DIR"] = str(self._nodes.folder.data)

    @property
    def reach(self) -> Reachable:
        return self._nodes

    async def _begin(self) -> None:
        await self._nodes.begin()

    async def _way(self, name: str) -> str:
        return self._nodes.urls

    async def _end(self) -> None:
        await self._nodes.end()
