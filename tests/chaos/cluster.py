"""Three brokers that are one, started by the script that is shipped, each to be harmed alone."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import permutations
from pathlib import Path

from msgspec import Struct

from mesh.bus.connection import Bus, BusError
from mesh.bus.jetstream import JetStream
from mesh.cli import broker as process
from mesh.cli.enrol import ROLES, BrokerFolder, Credential
from tests.chaos.wires import Wire
from tests.conftest import free_port

SCRIPT = Path(__file__).parents[2] / "deploy" / "nats-cluster" / "node.sh"
READY = 60.0
PATIENCE = 120.0
"""Seconds in which the nodes have to agree again after whatever befell them."""

NODES = range(3)


class _Replica(Struct):
    name: str = ""
    current: bool = False
    offline: bool = False
    lag: int = 0


class _Nodes(Struct):
    leader: str = ""
    replicas: tuple[_Replica, ...] = ()


class _Stream(Struct):
    """The part of a stream's information that tells of its nodes."""

    cluster: _Nodes


class Cluster:
    """Nodes 0, 1 and 2. Workers have to be named beforehand: all nodes must know them.

    wired: whether the routes between the nodes run over wires that can be cut.
    """

    def __init__(self, folder: Path, workers: tuple[str, ...], wired: bool = False) -> None:
        self._folders = [BrokerFolder(folder / f"node{k}") for k in NODES]
        self._ports = [free_port() for _ in NODES]
        self._routes = [free_port() for _ in NODES]
        self._nowhere = free_port()
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * 3
        pairs = permutations(NODES, 2) if wired else ()
        self._wires = {pair: Wire(self._routes[pair[1]]) for pair in pairs}
        self.folder = self._folders[0]
        self.folder.prepare()
        for name in workers:
            self.folder.enrol(name)
        for other in self._folders[1:]:
            shutil.copytree(self.folder.data, other.data)

    async def begin(self) -> None:
        """Start all nodes, and wait until each lets the operator in."""
        for wire in self._wires.values():
            await wire.start()
        for node in NODES:
            self.start(node)
        for node in NODES:
            await asyncio.to_thread(self.wait, node)

    @asynccontextmanager
    async def seclusion(self, node: int) -> AsyncIterator[None]:
        """While this lasts, a node is cut off from the others, but not from its clients."""
        assert self._wires, "its routes do not run over wires"
        wires = [wire for pair, wire in self._wires.items() if node in pair]
        for wire in wires:
            wire.broken = True
            wire.cut()
        try:
            yield
        finally:
            for wire in wires:
                wire.broken = False

    @property
    def urls(self) -> str:
        """All nodes, as MESH_NATS names them."""
        return ",".join(self.url_of(node) for node in NODES)

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

    @property
    def pids(self) -> dict[str, int]:
        """The process of each node that lives."""
        children = enumerate(self._processes)
        return {f"n{node}": child.pid for node, child in children if child is not None}

    def start(self, node: int) -> None:
        """Start a node, or start it again on what it has."""
        peers = [self._route(node, other) for other in NODES if other != node]
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "MESH_CLUSTER_PASSWORD": "between-nodes",
            "MESH_NATS_HOST": "127.0.0.1",
            "MESH_NATS_PORT": str(self._ports[node]),
            "MESH_CLUSTER_PORT": str(self._routes[node]),
        }
        if self._wires:  # what others tell of it leads nowhere: only its own wires lead to it
            environment["MESH_CLUSTER_ADVERTISE"] = f"127.0.0.1:{self._nowhere}"
        with (self._folders[node].data / "nats-server.log").open("ab") as log:
            self._processes[node] = subprocess.Popen(
                [SCRIPT, f"n{node}", str(self._folders[node].data), *peers],
                env=environment,
                stdout=log,
                stderr=log,
            )

    def _route(self, node: int, other: int) -> str:
        """Where a node finds another."""
        wire = self._wires.get((node, other))
        return f"127.0.0.1:{wire.port if wire else self._routes[other]}"

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

    def pause(self, node: int) -> None:
        """Let a node stand still, its connections open."""
        self._send(node, signal.SIGSTOP)

    def resume(self, node: int) -> None:
        self._send(node, signal.SIGCONT)

    def _send(self, node: int, number: signal.Signals) -> None:
        child = self._processes[node]
        assert child is not None
        child.send_signal(number)

    async def leader(self, stream: str) -> int:
        """The node that leads a stream; while one is chosen nobody hears the question."""
        return int((await self._agreed(stream)).leader.removeprefix("n"))

    async def in_step(self, stream: str) -> None:
        """Wait until all nodes have all of a stream."""
        await self._agreed(stream, whole=True)

    async def _agreed(self, stream: str, whole: bool = False) -> _Nodes:
        """Ask until there is a leader, and if `whole` until the others have all that it has."""
        bus = await Bus.connect([self.url], *self.credentials("operator"))
        js, found, until = JetStream(bus, timeout=1.0), _Nodes(), time.monotonic() + PATIENCE
        try:
            while time.monotonic() < until:
                with suppress(BusError):
                    found = (await js.api(f"STREAM.INFO.{stream}", {}, _Stream)).cluster
                    if found.leader and not (whole and _behind(found)):
                        return found
                await asyncio.sleep(0.2)
        finally:
            await bus.close()
        raise TimeoutError(f"the nodes of {stream} do not agree: {found}")

    async def end(self) -> None:
        for node in NODES:
            self.kill(node)
        for wire in self._wires.values():
            await wire.close()


def _behind(found: _Nodes) -> bool:
    """Whether a node lacks something, or is away."""
    whole = [each for each in found.replicas if each.current and not each.offline]
    return len(whole) < len(NODES) - 1
