"""Who is alive: workers renew a short-lived entry, everybody else keeps a list of them."""

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec
from nats.aio.msg import Msg

from mesh.bus.connection import Bus, Disconnected
from mesh.bus.jetstream import WHATEVER_COMES, JetStream
from mesh.bus.topology import PRESENCE_TTL
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.subjects import Writer
from mesh.protocol.worker_info import WorkerInfo

log = logging.getLogger(__name__)

RENEW = 2.0
"""Seconds between two signs of life of a worker."""


async def announce(bus: Bus, info: Callable[[], WorkerInfo]) -> None:
    """Renew a worker's presence until cancelled."""
    while True:
        now = info()
        try:
            await bus.publish(subjects.presence(now.name), now)
        except Disconnected:
            pass
        await asyncio.sleep(RENEW)


async def withdraw(bus: Bus, name: str) -> None:
    """Say goodbye: the worker is gone from every list at once. Raises Disconnected."""
    await bus.publish(subjects.presence(name), b"")


class Fleet:
    """The workers present, by name. `on_come` hears of each that came or offers other models,
    `on_lost` of each that fell silent or was replaced.

    A worker that said nothing for PRESENCE_TTL seconds is lost; one that withdrew has left.
    """

    def __init__(self, bus: Bus, js: JetStream) -> None:
        self._bus = bus
        self._js = js
        self._heard: dict[str, float] = {}
        self._parted: set[str] = set()
        self._listens = False
        self.workers: dict[str, WorkerInfo] = {}
        self.on_come: Callable[[WorkerInfo], None] = lambda info: None
        self.on_lost: Callable[[WorkerInfo], None] = lambda info: None

    def has(self, writer: Writer) -> bool:
        """Whether this process is a worker that is present."""
        info = self.workers.get(writer.user)
        return info is not None and info.inc == writer.inc

    def parted(self, writer: Writer) -> None:
        """A process's connection has ended, and it does not answer: if it is a worker, nothing is
        to be expected of it until it says that it lives. (It is not lost yet.)"""
        if self.has(writer):
            self._parted.add(writer.user)

    def answering(self) -> list[WorkerInfo]:
        """Those who are present, save who has parted."""
        return [info for name, info in self.workers.items() if name not in self._parted]

    async def start(self) -> None:
        """Subscribe, then read who is there already. Raises BusError; may be called again then."""
        if not self._listens:
            await self._bus.listen(subjects.PRESENCE_ALL, self._receive)
            self._listens = True
        info = await self._js.stream_info(subjects.WORKERS_STREAM)
        batches = self._js.read(
            subjects.WORKERS_STREAM, subjects.PRESENCE_ALL, 1, info.state.last_seq
        )
        async for batch in batches:
            for stored in batch:
                self._hear(stored.subject, stored.data)

    async def watch(self) -> None:
        """Drop the workers that fell silent, until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            if not self._bus.connected:
                self._excuse_all()
                continue
            silent = time.monotonic() - PRESENCE_TTL
            for name in [name for name, heard in self._heard.items() if heard < silent]:
                self._lose(name)

    def _receive(self, msg: Msg) -> None:
        self._hear(msg.subject, msg.data)

    def _hear(self, subject: str, data: bytes) -> None:
        name = _name(subject)
        returned = name in self._parted
        self._parted.discard(name)
        if not data:
            self._heard.pop(name, None)
            self.workers.pop(name, None)
            return
        info = _read(name, data)
        if info is None:
            return
        before = self.workers.get(name)
        if before is not None and before.inc != info.inc:
            self._lose(name)
        self._heard[name] = time.monotonic()
        self.workers[name] = info
        anew = before is None or before.inc != info.inc or before.models != info.models
        if anew or returned:
            self.on_come(info)

    def _excuse_all(self) -> None:
        """Without a connection nobody can be heard: start counting anew when it is back."""
        now = time.monotonic()
        self._heard = dict.fromkeys(self._heard, now)

    def _lose(self, name: str) -> None:
        self._heard.pop(name, None)
        info = self.workers.pop(name, None)
        if info is not None:
            self.on_lost(info)


async def present(js: JetStream) -> list[WorkerInfo]:
    """The workers present now, read once. Raises BusError."""
    found: dict[str, WorkerInfo] = {}
    async for batch in js.read(subjects.WORKERS_STREAM, subjects.PRESENCE_ALL, 1, WHATEVER_COMES):
        for stored in batch:
            name = _name(stored.subject)
            worker = _read(name, stored.data) if stored.data else None
            found.pop(name, None)
            if worker is not None:
                found[name] = worker
    return sorted(found.values(), key=lambda worker: worker.name)


def _name(subject: str) -> str:
    return subject.rpartition(".")[2]


def _read(name: str, data: bytes) -> WorkerInfo | None:
    """A worker's sign of life; None, with a warning, where it cannot be read."""
    try:
        return decode(data, WorkerInfo)
    except msgspec.DecodeError as error:
        log.warning("The presence of %s cannot be read: %s", name, error)
        return None
