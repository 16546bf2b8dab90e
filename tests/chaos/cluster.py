"""Three brokers that are one, started by the script that is shipped, each to be killed alone."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from mesh.bus.connection import Bus, NoResponders, Silence
from mesh.bus.jetstream import JetStream
from mesh.cli import broker as process
from mesh.cli.enrol import ROLES, BrokerFolder, Credential
from tests.chaos.wires import Wire
from tests.conftest import free_port

SCRIPT = Path(__file__).parents[2] / "deploy" / "nats-cluster" / "node.sh"
READY = 40.0


class Cluster:
    """Nodes 0, 1 and 2. Workers have to be named beforehand: all nodes must know them.

    secluded: a node whose routes to the others, and no others, run over wires that can be cut.
    """

    def __init__(self, folder: Path, workers: tuple[str, ...], secluded: int | None = None) -> None:
        self._folders = [BrokerFolder(folder / f"node{k}") for k in range(3)]
        self._ports = [free_port() for _ in range(3)]
        self._routes = [free_port() for _ in range(3)]
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * 3
        self._secluded = secluded
        self._wires = [Wire(port) for port in self._routes] if secluded is not None else []
        self.folder = self._folders[0]
        self.folder.prepare()
        for name in workers:
            self.folder.enrol(name)
        for other in self._folders[1:]:
            shutil.copytree(self.folder.data, other.data)

    async def lay_wires(self) -> None:
        """Before the first start, where one node is secluded."""
        for wire in self._wires:
            await wire.start()

    @asynccontextmanager
    async def seclusion(self) -> AsyncIterator[None]:
        """While this lasts, that node is cut off from the others, but not from its clients."""
        for wire in self._wires:
            wire.broken = True
            wire.cut()
        yield
        for wire in self._wires:
            wire.broken = False

    @property
    def urls(self) -> str:
        """All nodes, as MESH_NATS names them."""
        return ",".join(self.url_of(node) for node in range(3))

    def url_of(self, node: int) -> str:
        return f"nats://127.0.0.1:{self._ports[node]}"

    @property
    def url(self) -> str:
        """A node that lives."""
        alive = (k for k, child in enumerate(self._processes) if child is not None)
        return self.url_of(next(alive))

    def credentials(self, user: str) -> Credential:
        if user in ROLES:
            return self.folder.credential(user)
        return Credential(user, self.folder.secrets().of(user))

    def start(self, node: int) -> None:
        """Start a node, or start it again on what it has."""
        peers = [self._route(node, other) for other in range(3) if other != node]
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "MESH_CLUSTER_PASSWORD": "between-nodes",
            "MESH_NATS_HOST": "127.0.0.1",
            "MESH_NATS_PORT": str(self._ports[node]),
            "MESH_CLUSTER_PORT": str(self._routes[node]),
        }
        if self._wires:
            environment["MESH_CLUSTER_ADVERTISE"] = f"127.0.0.1:{self._wires[node].port}"
        with (self._folders[node].data / "nats-server.log").open("ab") as log:
            self._processes[node] = subprocess.Popen(
                [SCRIPT, f"n{node}", str(self._folders[node].data), *peers],
                env=environment,
                stdout=log,
                stderr=log,
            )

    def _route(self, node: int, other: int) -> str:
        """Where a node finds another."""
        wired = self._wires and self._secluded in (node, other)
        return f"127.0.0.1:{self._wires[other].port if wired else self._routes[other]}"

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
            return await _leader(JetStream(bus, timeout=1.0), stream)
        finally:
            await bus.close()

    async def end(self) -> None:
        for node in range(3):
            self.kill(node)
        for wire in self._wires:
            await wire.close()


async def _leader(js: JetStream, stream: str) -> int:
    """Ask until somebody answers: while a leader is chosen nobody hears the question."""
    async with asyncio.timeout(READY):
        while True:
            with suppress(Silence, NoResponders):
                name = (await js.stream_info(stream)).cluster.leader
                if name:
                    return int(name.removeprefix("n"))
            await asyncio.sleep(0.2)
