"""Makes the faults of a plan happen, one at a time on each target, and repairs them."""

import asyncio
import os
import random
import signal
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from tests.chaos.mesh import Mesh, Service, pause
from tests.chaos.plan import Fault

DELAY = 0.15
"""Seconds by which a slow wire delays what is said, each way."""


RECOVERY = 2.0
"""Seconds after a fault's repair in which its consequences are not surprising."""


@dataclass
class Death:
    """A worker process that was killed: its broker user, when it began, and when it ended."""

    user: str
    born: float
    at: float


@dataclass
class Window:
    """A time in which something was wrong with a service, or with the broker."""

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
    deaths: list[Death] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    """When a broker that was killed let people in again: Unix time."""
    _locks: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )

    async def strike(self, fault: Fault) -> None:
        """Let one fault happen; returns when it is repaired."""
        action, _, what = fault.kind.partition(" ")
        service = None if what == "broker" else self._target(what.removeprefix("of "), fault.target)
        name = "broker" if service is None else service.name
        async with self._locks[name]:
            began = time.time()
            if service is None:
                await self._broker(action, fault.seconds)
            else:
                await self._service(action, service, fault.seconds)
        self.windows.append(Window(name, fault.kind, began, time.time() + RECOVERY))
        self.happened[fault.kind] += 1

    def _target(self, what: str, number: int) -> Service:
        of = {"worker": self.mesh.workers, "gateway": self.mesh.gateways}
        if what == "store":
            assert self.mesh.store is not None
            return self.mesh.store
        return of[what][number % len(of[what])]

    async def _service(self, action: str, service: Service, seconds: float) -> None:
        match action:
            case "kill":
                self.deaths.append(Death(service.name, service.born, time.time()))
                await asyncio.to_thread(service.kill)
                await asyncio.sleep(self.rng.uniform(0.0, 0.5))
                service.start()
            case "stop":
                await asyncio.to_thread(service.stop, 60.0)
                service.start()
            case "pause":
                await pause(service, seconds)
            case "cut":
                wire = self.mesh.wires[service.name]
                wire.broken = True
                wire.cut()
                await asyncio.sleep(seconds)
                wire.broken = False
            case "delay":
                wire = self.mesh.wires[service.name]
                wire.delay = DELAY
                await asyncio.sleep(seconds)
                wire.delay = 0.0
            case "clock":
                os.kill(service.popen.pid, signal.SIGUSR1)
        await self._restart_if_gone(service)

    async def _restart_if_gone(self, service: Service) -> None:
        """As a supervisor does, should it have left by itself."""
        if not service.running:
            await asyncio.sleep(0.2)
            service.start()

    async def _broker(self, action: str, seconds: float) -> None:
        if action == "kill":
            await asyncio.to_thread(self.mesh.broker.kill)
            await asyncio.to_thread(self.mesh.broker.start)
            self.returns.append(time.time())
        else:
            self.mesh.broker.pause()
            await asyncio.sleep(seconds)
            self.mesh.broker.resume()

    async def supervise(self) -> None:
        """Start again what has ended by itself, until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            for service in self.mesh.processes():
                if not self._locks[service.name].locked():
                    async with self._locks[service.name]:
                        await self._restart_if_gone(service)
