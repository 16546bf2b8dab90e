"""Three brokers that are one, started by the script that is shipped, each to be killed alone."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.cli import broker as process
from mesh.cli.enrol import ROLES, BrokerFolder, Credential
from tests.conftest import free_port

SCRIPT = Path(__file__).parents[2] / "deploy" / "nats-cluster" / "node.sh"
READY = 40.0


class Cluster:
    """Nodes 0, 1 and 2. Workers have to be named beforehand: all nodes must know them."""

    def __init__(self, folder: Path, workers: tuple[str, ...]) -> None:
        self._folders = [BrokerFolder(folder / f"node{k}") for k in range(3)]
        self._ports = [free_port() for _ in range(3)]
        self._routes = [free_port() for _ in range(3)]
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * 3
        self.folder = self._folders[0]
        self.folder.prepare()
        for name in workers:
            self.folder.enrol(name)
        for other in self._folders[1:]:
            shutil.copytree(self.folder.data, other.data)

    @property
    def urls(self) -> str:
        """All nodes, as MESH_NATS names them."""
        return ",".join(f"nats://127.0.0.1:{port}" for port in self._ports)

    @property
    def url(self) -> str:
        """A node that lives."""
        alive = (k for k, child in enumerate(self._processes) if child is not None)
        return f"nats://127.0.0.1:{self._ports[next(alive)]}"

    def credentials(self, user: str) -> Credential:
        if user in ROLES:
            return self.folder.credential(user)
        return Credential(user, self.folder.secrets().of(user))

    def start(self, node: int) -> None:
        """Start a node, or start it again on what it has."""
        peers = [f"127.0.0.1:{port}" for k, port in enumerate(self._routes) if k != node]
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "MESH_CLUSTER_PASSWORD": "between-nodes",
            "MESH_NATS_HOST": "127.0.0.1",
            "MESH_NATS_PORT": str(self._ports[node]),
            "MESH_CLUSTER_PORT": str(self._routes[node]),
        }
        with (self._folders[node].data / "nats-server.log").open("ab") as log:
            self._processes[node] = subprocess.Popen(
                [SCRIPT, f"n{node}", str(self._folders[node].data), *peers],
                env=environment,
                stdout=log,
                stderr=log,
            )

    def wait(self, node: int) -> None:
        """Wait until a node lets the operator in."""
        until = time.monotonic() + READY
        operator = self.folder.credential("operator")
        while not process.accepts("127.0.0.1", self._ports[node], operator):
            assert time.monotonic() < until, f"node {node} is not ready"
            time.sleep(0.05)

    def kill(self, node: int) -> None:
        """kill -9."""
        child, self._processes[node] = self._processes[node], None
        if child is not None:
            child.kill()
            child.wait()

    def stop(self, node: int) -> None:
        """End a node in good order."""
        child, self._processes[node] = self._processes[node], None
        assert child is not None
        child.terminate()
        child.wait(READY)

    async def leader(self, stream: str) -> int:
        """The node that leads a stream."""
        bus = await Bus.connect([self.url], *self.credentials("operator"))
        try:
            info = await JetStream(bus).stream_info(stream)
            return int(info.cluster.leader.removeprefix("n"))
        finally:
            await bus.close()

    def end(self) -> None:
        for node in range(3):
            self.kill(node)
