"""What is not as it was before a campaign: files and memory of processes, slots, the queue."""

import asyncio

from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import present
from tests.chaos.mesh import Mesh
from tests.chaos.story import Reachable, queue_length

FILES = 20
MEMORY = 200 << 20
"""How many more open files, and bytes beyond twice what it was, are no sign of a leak."""

PAUSE = 3.0
"""Seconds after which workers have said how busy they are, and connections are closed."""


async def remains(mesh: Mesh, before: dict[str, tuple[int, int]]) -> list[str]:
    """A sentence for each thing that is left. before: `mesh.sizes()` at the beginning."""
    await asyncio.sleep(PAUSE)
    said = []
    for name, (files, memory) in mesh.sizes().items():
        if files > before[name][0] + FILES:
            said.append(f"{name} has {files} open files, {before[name][0]} before")
        if memory > 2 * before[name][1] + MEMORY:
            said.append(f"{name} has {memory >> 20} MiB, {before[name][1] >> 20} before")
    for name, running in (await _running(mesh.reach)).items():
        if running:
            said.append(f"{running} slots of {name} are taken")
    if waiting := await queue_length(mesh.reach):
        said.append(f"{waiting} items are in the queue")
    return said


async def _running(broker: Reachable) -> dict[str, int]:
    """How many answers each worker says that it writes."""
    bus = await Bus.connect([broker.url], *broker.credentials("operator"))
    try:
        return {worker.name: worker.running for worker in await present(JetStream(bus))}
    finally:
        await bus.close()
