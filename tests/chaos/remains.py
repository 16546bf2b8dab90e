"""What is not as it was before a campaign: files and memory of processes, slots, the queue."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from mesh.bus.connection import Bus, BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import present
from mesh.protocol import subjects
from tests.chaos.mesh import Mesh
from tests.chaos.slots import not_taken
from tests.chaos.story import Reachable, queue_length

T = TypeVar("T")

Sizes = Mapping[str, tuple[int, int]]
"""Open files and resident bytes of each process, by its name."""

FILES = 20
MEMORY = 200 << 20
"""How many more open files, and bytes beyond twice what it was, are no sign of a leak.

A broker may have twice the log besides: whoever has just read all of it, as we have, finds it in
the broker's caches for some seconds more, and Go's heap grows to twice of what lives on it before
it is tidied. What it knows of each message for as long as that is kept is a small part of it.
"""

LATE = 30.0
"""Seconds for which a broker is asked again that says that it cannot answer just now."""

PAUSE = 3.0
"""Seconds after which workers have said how busy they are, and connections are closed."""


async def remains(mesh: Mesh, before: Sizes, slots: int = 0) -> list[str]:
    """A sentence for each thing that is left.

    before: `mesh.sizes()` at the beginning; slots: that the echo workers have in all, each of which
    has to take an answer; 0: nobody asks them.
    """
    await asyncio.sleep(PAUSE)
    log = await _told(_log_bytes, mesh.reach)
    now = mesh.sizes()
    said = grown(before, now, dict.fromkeys(mesh.brokers(), 2 * log))
    for name, running in (await _told(_running, mesh.reach)).items():
        if running:
            said.append(f"{running} slots of {name} are taken")
    if waiting := await _told(queue_length, mesh.reach):
        said.append(f"{waiting} items are in the queue")
    if missing := await not_taken(mesh.urls, slots):
        said.append(f"{missing} of {slots} slots took no answer when all were asked at once")
    return said


def grown(before: Sizes, now: Sizes, more: Mapping[str, int]) -> list[str]:
    """A sentence for each process that has grown too much. more: bytes that it may have besides."""
    said = []
    for name, (files, memory) in now.items():
        if files > before[name][0] + FILES:
            said.append(f"{name} has {files} open files, {before[name][0]} before")
        if memory > 2 * before[name][1] + MEMORY + more.get(name, 0):
            said.append(f"{name} has {memory >> 20} MiB, {before[name][1] >> 20} before")
    return said


async def _told(ask: Callable[[Reachable], Awaitable[T]], broker: Reachable) -> T:
    """What a broker answers. A cluster that has led a stream elsewhere does so late."""
    until = time.monotonic() + LATE
    while True:
        try:
            return await ask(broker)
        except BusError:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(0.5)


async def _log_bytes(broker: Reachable) -> int:
    bus = await Bus.connect([broker.url], *broker.credentials("operator"))
    try:
        return (await JetStream(bus).stream_info(subjects.RUN_STREAM)).state.bytes
    finally:
        await bus.close()


async def _running(broker: Reachable) -> dict[str, int]:
    """How many answers each worker says that it writes."""
    bus = await Bus.connect([broker.url], *broker.credentials("operator"))
    try:
        return {worker.name: worker.running for worker in await present(JetStream(bus))}
    finally:
        await bus.close()
