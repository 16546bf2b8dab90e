"""The mesh of a campaign: real processes around a real broker, with a wire of their own to cut."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil

from tests.acceptance.conftest import Process
from tests.chaos.cluster import Cluster
from tests.chaos.small_disk import Impossible, SmallDisk, mounted
from tests.chaos.story import Reachable
from tests.chaos.web import Broken, send
from tests.chaos.wires import Wire
from tests.conftest import Broker, free_port

ROOT = Path(__file__).parents[2]
READY = 60.0
DISK = 1 << 30
"""Bytes of the disks of broker and store, where they have one of their own."""


class Service(Process):
    """A service with an accent. born: Unix time of its latest start."""

    module = "tests.chaos.service"
    born = 0.0

    def __init__(
        self,
        name: str,
        arguments: list[str],
        env: dict[str, str],
        folder: Path,
        prefix: Sequence[str] = (),
    ) -> None:
        self._prefix = prefix
        super().__init__(name, arguments, env, folder)

    def start(self) -> None:
        self.born = time.time()
        super().start()

    def command(self) -> list[str]:
        return [*self._prefix, *super().command()]


class Mesh:
    """Broker, store, gateways and workers. without: mechanisms to take out, by service.

    wires: of each service, to the broker; fronts: of each gateway's clients, to it; urls: of the
    gateways, as clients reach them; narrow: by each of these, where those come who read slowly;
    disks: of store and broker, where they are small.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str],
        without: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.folder = folder
        self.without = without or {}
        data = folder / "data"
        data.mkdir(parents=True, mode=0o700)
        self.broker = Broker(data)
        self._database = folder / "store" / "mesh.db"
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith("MESH_")
        } | {
            "MESH_DATA_DIR": str(data),
            "MESH_DATABASE": str(self._database),
            "XDG_CONFIG_HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "MESH_CHAOS_CLOCK": "8",
            "MESH_RUN_MAX_AGE": "14400",
            **{f"MESH_{name.upper()}": value for name, value in settings.items()},
        }
        self.gateways: list[Service] = []
        self.urls: list[str] = []
        self.narrow: dict[str, str] = {}
        self.workers: list[Service] = []
        self.store: Service | None = None
        self.wires: dict[str, Wire] = {}
        self.fronts: dict[str, Wire] = {}
        self.disks: dict[str, SmallDisk] = {}
        self._mounts = ExitStack()
        self.cluster: Cluster | None = None
        """Three brokers in place of one, where that is so."""

    @property
    def reach(self) -> Reachable:
        """Whom to ask for the log."""
        return self.broker

    def small_disks(self) -> str:
        """Give broker and store a disk of their own each; returns why not, where that cannot be."""
        try:
            for name, folder in (
                ("broker", self.broker.folder.streams),
                ("store", self._database.parent),
            ):
                self.disks[name] = self._mounts.enter_context(mounted(folder, DISK))
        except Impossible as why:
            return str(why)
        self.broker.prefix = self.disks["broker"].prefix
        return ""

    async def start(self, gateways: int, workers: int, store: bool, *flags: str) -> None:
        """Start it all and wait until it answers. flags: of the workers."""
        self._database.parent.mkdir(exist_ok=True)
        await self._begin()
        if store:
            self.store = await self._service("store", "store", "store")
        for number in range(1, gateways + 1):
            await self._gateway(f"gw{number}")
        await self.workers_present(0)
        for number in range(1, workers + 1):
            name = f"w{number}"
            words = ["worker", "--worker-name", name, "--engine", "echo", *flags]
            self.workers.append(await self._service(name, "worker", *words))
        await self.workers_present(workers)

    async def _begin(self) -> None:
        """Start what the services connect to."""
        await asyncio.to_thread(self.broker.start)

    async def _way(self, name: str) -> str:
        """How a service reaches the broker: over a wire of its own."""
        wire = self.wires[name] = Wire(self.broker.port)
        await wire.start()
        return f"nats://127.0.0.1:{wire.port}"

    async def _end(self) -> None:
        """End what `_begin` has started."""
        with suppress(ProcessLookupError):
            self.broker.resume()
        await asyncio.to_thread(self.broker.kill)

    async def another_worker(self, name: str, *flags: str) -> Service:
        """Start one more worker, of any engine, and wait until it is there."""
        worker = await self._service(name, "worker", "worker", "--worker-name", name, *flags)
        self.workers.append(worker)
        await self.workers_present(len(self.workers))
        return worker

    async def _gateway(self, name: str) -> None:
        """Start a gateway, and a wire between it and its clients."""
        port = free_port()
        front = self.fronts[name] = Wire(port)
        await front.start()
        self.urls.append(f"http://127.0.0.1:{front.port}")
        self.narrow[self.urls[-1]] = f"http://127.0.0.1:{await front.narrow()}"
        words = ["gateway", "--gateway-name", name, "--port", str(port)]
        self.gateways.append(await self._service(name, "gateway", *words))

    async def _service(self, name: str, kind: str, *words: str) -> Service:
        """Start a service that reaches the broker in its way."""
        if kind == "worker":
            await asyncio.to_thread(self.reach.credentials, name)
        missing = [word for each in self.without.get(kind, ()) for word in ("--without", each)]
        environment = self._environment | {"MESH_NATS": await self._way(name)}
        prefix = self.disks[kind].prefix if kind in self.disks else ()
        return Service(name, [*missing, *words], environment, self.folder, prefix)

    async def database(self) -> Path:
        """The database, or a copy of it as a power cut would leave it."""
        if self.store is None or "store" not in self.disks:
            return self._database
        self.store.send(signal.SIGSTOP)
        try:
            copies = self.folder / "copies"
            shutil.rmtree(copies, ignore_errors=True)
            return await asyncio.to_thread(self.disks["store"].copy, self._database.name, copies)
        finally:
            self.store.send(signal.SIGCONT)

    async def workers_present(self, count: int) -> None:
        """Wait until every gateway answers and knows of so many workers."""
        for url in self.urls:
            await workers_present(url, count)

    def processes(self) -> list[Service]:
        return [*self.gateways, *self.workers, *([self.store] if self.store else [])]

    def brokers(self) -> dict[str, int]:
        """The process of the broker, or of each that lives of several."""
        return {"broker": self.broker.pid} if self.cluster is None else self.cluster.pids

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Open files and resident bytes of each process."""
        pids = {service.name: service.popen.pid for service in self.processes()} | self.brokers()
        found = {}
        for name, pid in pids.items():
            process = psutil.Process(pid)
            found[name] = (process.num_fds(), process.memory_info().rss)
        return found

    async def end(self) -> None:
        """Nothing that was started is left."""
        for service in reversed(self.processes()):
            await asyncio.to_thread(service.end)
        for wire in (*self.wires.values(), *self.fronts.values()):
            await wire.close()
        await self._end()
        self._mounts.close()


async def workers_present(url: str, count: int) -> None:
    """Wait until a gateway answers and knows of so many workers."""
    until = time.monotonic() + READY
    while not int(str((await _health(url)).get("workers", -1))) >= count:
        assert time.monotonic() < until, f"{url}: not {count} workers in time"
        await asyncio.sleep(0.05)


async def _health(url: str) -> dict[str, object]:
    """What a gateway says of itself; empty while it says nothing."""
    with suppress(*Broken):
        async with send("GET", f"{url}/v1/health") as response:
            found: dict[str, object] = await response.json()
            return found
    return {}


async def pause(service: Service, seconds: float) -> None:
    """Let a process stand still for a while."""
    service.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        service.send(signal.SIGCONT)
