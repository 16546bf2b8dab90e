"""Makes the faults of a plan happen, one at a time on each target, and repairs them."""

import asyncio
import os
import random
import signal
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from mesh.cli.room import says_full
from tests.chaos.mesh import Mesh, Service, pause
from tests.chaos.nodes import befall
from tests.chaos.plan import Fault
from tests.chaos.wires import Wire

DELAY = 0.15
"""Seconds by which a slow wire delays what is said, each way."""

LEFT = 16_000
"""Bytes of room that a full disk may still have."""

RECOVERY = 2.0
"""Seconds after a fault's repair in which its consequences are not surprising."""

CLIENTS = "clients of "
"""Before a gateway's name: the wire between it and its clients."""


@dataclass
class Death:
    """A worker process that was killed: its broker user, when it began, and when it ended."""

    user: str
    born: float
    at: float


class Left(NamedTuple):
    """A service that was found to have ended by itself: its exit status, when it was found, and
    the last line that it had written."""

    name: str
    status: int
    at: float
    last: str = ""


@dataclass
class Window:
    """A time in which something was wrong with a service, with the broker, or with a wire."""

    name: str
    kind: str
    start: float
    end: float

    def meets(self, start: float, end: float) -> bool:
        return self.start < end and self.end > start


@dataclass
class Faults:
    """Injects faults into a mesh and counts them by kind."""

    mesh: Mesh
    rng: random.Random
    happened: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    """Those that this machine does not allow."""
    deaths: list[Death] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    """Services that had ended when nobody had just killed or stopped them."""
    returns: list[float] = field(default_factory=list)
    """When a broker that was killed let people in again: Unix time."""
    beheadings: list[float] = field(default_factory=list)
    """When of several brokers the leader was killed."""
    _locks: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )

    async def strike(self, fault: Fault) -> None:
        """Let one fault happen; returns when it is repaired."""
        action, _, what = fault.kind.partition(" ")
        if action == "fill" and what not in self.mesh.disks:
            self.left_out[fault.kind] += 1
            return
        service = self._target(what.removeprefix("of "), fault.target)
        name = "broker" if service is None else service.name
        name = CLIENTS + name if what == "clients" else name
        async with self._locks[name]:
            began = time.time()
            if service is None:
                await self._broker(action, what, fault)
            elif what == "clients":
                await self._wire(action, self.mesh.fronts[service.name], fault.seconds)
            else:
                await self._service(action, service, fault.seconds)
        self.windows.append(Window(name, fault.kind, began, time.time() + RECOVERY))
        self.happened[fault.kind] += 1

    def _target(self, what: str, number: int) -> Service | None:
        """The service that is meant; None: the broker."""
        mesh = self.mesh
        stores = [mesh.store] if mesh.store else []
        of = {"worker": mesh.workers, "gateway": mesh.gateways, "store": stores}
        of["clients"] = mesh.gateways
        return of[what][number % len(of[what])] if what in of else None

    async def _service(self, action: str, service: Service, seconds: float) -> None:
        if action in ("kill", "stop"):  # or nobody would see that it had gone before
            self._note_if_gone(service)
        match action:
            case "kill":
                self.deaths.append(Death(service.name, service.born, time.time()))
                await asyncio.to_thread(service.kill)
                await asyncio.sleep(self.rng.uniform(0.0, 0.5))
                service.start()
            case "stop":
                await asyncio.to_thread(service.stop, 60.0)
                service.start()
            case "pause" | "freeze":
                await pause(service, seconds)
            case "cut" | "sever" | "delay":
                await self._wire(action, self.mesh.wires[service.name], seconds)
            case "fill":
                await self._fill(service.name, seconds)
            case "clock":
                os.kill(service.popen.pid, signal.SIGUSR1)
            case "hour":
                os.kill(service.popen.pid, signal.SIGUSR2)
        await self._restart_if_gone(service)

    async def _wire(self, action: str, wire: Wire, seconds: float) -> None:
        if action == "delay":
            wire.delay = DELAY
            await asyncio.sleep(seconds)
            wire.delay = 0.0
        else:
            wire.broken = True
            wire.cut()
            await asyncio.sleep(seconds)
            wire.broken = False

    async def _fill(self, name: str, seconds: float) -> None:
        """Somebody else takes the room of a disk for a while."""
        disk = self.mesh.disks[name]
        await asyncio.to_thread(disk.fill, self.rng.randrange(LEFT))
        await asyncio.sleep(seconds)
        await asyncio.to_thread(disk.empty)

    async def _restart_if_gone(self, service: Service) -> None:
        """As a supervisor does, should it have left by itself."""
        if self._note_if_gone(service):
            await asyncio.sleep(0.2)
            service.start()

    def _note_if_gone(self, service: Service) -> bool:
        """Whether it has ended; by itself, for whoever ends one starts it again at once."""
        status = service.popen.poll()
        if status is not None:
            *_, last = ["", *service.log.read_text(errors="replace").splitlines()]
            self.left.append(Left(service.name, status, time.time(), last))
        return status is not None

    async def _broker(self, action: str, what: str, fault: Fault) -> None:
        if self.mesh.cluster is None:
            await self._one_broker(action, fault.seconds)
            return
        struck = await befall(self.mesh.cluster, action, what, fault.target, fault.seconds)
        if fault.kind == "kill leader":
            self.beheadings.append(struck)

    async def _one_broker(self, action: str, seconds: float) -> None:
        broker = self.mesh.broker
        match action:
            case "kill" | "stop":
                await asyncio.to_thread(broker.kill if action == "kill" else broker.stop)
                await asyncio.to_thread(broker.start)
                self.returns.append(time.time())
            case "fill":
                before = broker.log.stat().st_size
                await self._fill("broker", seconds)
                said = broker.log.read_bytes()[before:].decode(errors="replace")
                if says_full(said):  # what `mesh up` does then
                    await asyncio.to_thread(broker.stop)
                    await asyncio.to_thread(broker.start)
            case _:
                broker.pause()
                await asyncio.sleep(seconds)
                broker.resume()

    async def supervise(self) -> None:
        """Start again what has ended by itself, until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            for service in self.mesh.processes():
                if not self._locks[service.name].locked():
                    async with self._locks[service.name]:
                        await self._restart_if_gone(service)
