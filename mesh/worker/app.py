"""Wires one worker process: loads the engine, joins the mesh, pulls, drains, leaves."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from math import inf

import mesh
from mesh.bus.appender import new_uid
from mesh.bus.clock import Clock
from mesh.bus.connection import Bus, BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.lasting import Lasting
from mesh.bus.presence import announce
from mesh.bus.pull import Puller
from mesh.bus.stopping import first, unless
from mesh.metrics import served
from mesh.protocol import subjects
from mesh.protocol.codec import decode, decode_order
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.poison import Bounds
from mesh.protocol.questions import (
    Accepted,
    Alive,
    Ask,
    CancelRun,
    Drain,
    LoadModel,
    UnloadModel,
    Welcome,
)
from mesh.protocol.subjects import Writer
from mesh.protocol.worker_info import WorkerInfo
from mesh.settings import WorkerSettings
from mesh.worker.answer import Patience
from mesh.worker.claim import Claims
from mesh.worker.desk import Desk
from mesh.worker.engines.base import EngineBroken
from mesh.worker.leaving import Drained as Drained
from mesh.worker.leaving import Interrupted as Interrupted
from mesh.worker.leaving import Stuck as Stuck
from mesh.worker.loader import Loader
from mesh.worker.machine import Gauges
from mesh.worker.membership import Membership
from mesh.worker.memory import resident
from mesh.worker.meters import Meters
from mesh.worker.offer import Offer
from mesh.worker.texts import Texts

log = logging.getLogger(__name__)

GOODBYE = 2.0
"""Seconds that leaving may take once all is handed over."""

LINGER = 1.0
"""Seconds for which it still answers who asks for what it had, once its goodbye is in the log: who
looked there before that may be just about to ask."""

CLOSING = 2.0
"""Seconds that the engine may take to end when this process does; it is left as it is then."""


async def run(
    settings: WorkerSettings,
    name: str,
    password: str,
    stop: asyncio.Event,
    at_work: Callable[[bool], None] = lambda busy: None,
    drained: int = 0,
) -> None:
    """Serve until `stop` is set, then drain. at_work: as for the `Desk`.

    An engine that hangs keeps nobody: the process is ended then, with status 0 if it was asked to
    leave by `stop`, `drained` if by an order, else 1.
    Raises MeshError when the worker cannot join; Drained after an order to leave; Interrupted when
    it was still loading its model.
    """
    status = 1
    loader = await unless(stop, Loader.start(settings))
    if loader is None:
        # The thread that loads cannot be interrupted: here nobody is to wait for it.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=1))
        raise Interrupted
    try:
        writer = Writer(name, new_uid())
        connecting = Bus.connect(settings.servers, name, password, str(writer), settings.nats_ca)
        bus = await unless(stop, connecting)
        if bus is None:
            return
        try:
            worker = Worker(bus, loader, writer, settings, at_work)
            with served(worker.meters.registry, settings.metrics_port):
                await worker.serve(stop)
        finally:
            await bus.close()
    except Drained:
        status = drained
        raise
    except Stuck as stuck:
        log.error("%s", stuck)
        if stuck.ordered:
            status = drained
        os._exit(0 if stop.is_set() else status)  # its threads would never end
    finally:
        if not await _closed(loader):
            log.error("The engine does not end: a step of it hangs. Leaving without it.")
            os._exit(0 if stop.is_set() else status)


class Worker:
    """One worker process in the mesh, from its hello to its goodbye.

    writer: this process, as it signs the log; its connection is named so, and the broker tells
    that name when the connection ends.
    """

    def __init__(
        self,
        bus: Bus,
        loader: Loader,
        writer: Writer,
        settings: WorkerSettings,
        at_work: Callable[[bool], None] = lambda busy: None,
    ) -> None:
        self._bus = bus
        self._js = JetStream(bus)
        self._loader = loader
        self._grace = settings.grace
        self._idle_unload = settings.idle_unload
        self._writer = writer
        self._clock = Clock()
        claims = Claims(bus, self._js, writer, loader.info.fingerprint, self._clock)
        losses = Bounds(settings.poison_after, settings.poison_in_all)
        patience = Patience(settings.first_token_limit, settings.stall_limit, losses)
        self._lasting = Lasting()
        member = Membership(bus, self._js, writer, self._clock, loader, self._info, self._welcomed)
        self._member = member
        offer = Offer(
            loader, settings, self._new_puller, member.join, member.tell_presence, self._lasting
        )
        self._offer = offer
        self._desk = Desk(
            bus,
            self._js,
            claims,
            loader,
            patience,
            offer.ready,
            offer.wake,
            self._lasting,
            self._clock,
        )
        self._desk.at_work = at_work
        self.meters = Meters(writer.user, loader, self._desk.running, self._desk.gaps)
        claims.on_event = self.meters.hear
        self._gauges = Gauges()
        self._started = self._clock()
        self._ordered = asyncio.Event()
        self._leaving = False

    async def serve(self, stop: asyncio.Event) -> None:
        """Join, work until `stop` or an order to drain, then leave.

        Raises MeshError when it may not join, when the broker has given it up for good, or when
        what has to go on has failed; Drained after an order; Stuck when the engine is.
        """
        await self._bus.serve(subjects.orders(self._writer), self._obey)
        await self._bus.serve(subjects.ask(self._writer), self._answer_ask)
        texts = Texts(self._loader, partial(self._offer.ready, held=inf))
        await self._bus.serve(subjects.encode(self._writer), texts.answer)
        if not await self._member.join(stop):
            return self._check_connection()
        self._bus.on_doubt(self._desk.doubt)
        self._started = self._clock()
        log.info("Serving %s as %s", self._loader.info.model, self._bus.user)
        try:
            had = await self._work(stop)
        finally:
            self._desk.close()
            await self._lasting.close()
        self._check_connection()
        with suppress(TimeoutError, BusError):
            async with asyncio.timeout(GOODBYE):
                await self._member.tell_stop(self._reason())
        if had:
            await asyncio.sleep(LINGER)
        if self._desk.stuck.is_set():
            why = "The engine has stalled on all it had to do, or is broken; leaving."
            raise Stuck(why, self._ordered.is_set())
        if self._desk.left_behind:
            why = "The engine has not let go of what it was told to; leaving without it."
            raise Stuck(why, self._ordered.is_set())
        if self._ordered.is_set():
            raise Drained
        self._lasting.check()

    async def _work(self, stop: asyncio.Event) -> int:
        """Work until there is a reason to leave, and hand over; how many requests it had then."""
        lasting, desk, offer = self._lasting, self._desk, self._offer
        lasting.start_again(self._gauges.watch)
        await self._gauges.looked()
        lasting.start(self._member.tell_start())
        lasting.start(announce(self._bus, self._info))
        lasting.start(desk.keep_alive())
        lasting.start_again(partial(self._clock.keep, self._member.time))
        lasting.start(desk.watch_engine())
        pulling = [
            lasting.start(offer.run(desk)),
            lasting.start(offer.rest(desk, self._idle_unload)),
        ]
        await first(stop, self._ordered, desk.stuck, self._bus.closed, lasting.failed)
        for task in pulling:
            task.cancel()
        had = desk.running()
        if not self._bus.closed.is_set():
            await self._drain()
        return had

    async def _drain(self) -> None:
        self._leaving = True
        await self._member.tell_presence()  # who waits for a worker should look for another at once
        broken = self._desk.stuck.is_set() or self._lasting.failed.is_set()
        await self._desk.drain(0.0 if broken else self._grace)

    def _check_connection(self) -> None:
        if self._bus.closed.is_set():
            raise MeshError(
                ErrorCode.BROKER_UNAVAILABLE,
                "The broker has ended this worker's connection for good: it may have been removed "
                "with `mesh join --remove`; join it again, or start it again.",
            )

    def _welcomed(self, welcome: Welcome) -> None:
        self._desk.ack_wait = welcome.ack_wait

    def _reason(self) -> str:
        """Why it leaves."""
        if self._desk.stuck.is_set():
            return "stuck"
        return "drained" if self._ordered.is_set() else "stopped"

    def _new_puller(self, model: str) -> Puller:
        return Puller(self._bus, model, self._free, self._desk.take, self._desk.spoilt)

    def _free(self) -> int:
        """Slots for which requests are pulled."""
        return 0 if self._offer.slow_to_wake else self._desk.free()

    async def _obey(self, subject: str, data: bytes) -> Accepted | None:
        match decode_order(data):
            case CancelRun(rid=rid):
                self._desk.cancel(rid)
            case Drain(grace=grace):
                self._grace = grace
                self._ordered.set()
                return Accepted()
            case LoadModel() | UnloadModel() as order:
                if self._leaving:
                    raise MeshError(ErrorCode.CONFLICT, "This worker is leaving.")
                return self._offer.order(order)
        return None

    async def _answer_ask(self, subject: str, data: bytes) -> Alive:
        rid, desk = decode(data, Ask).rid, self._desk
        return Alive(holding=desk.holds(rid), handed_over=desk.has_passed_on(rid))

    def _info(self) -> WorkerInfo:
        info, offer = self._loader.info, self._offer
        return WorkerInfo(
            name=self._writer.user,
            inc=self._writer.inc,
            protocol=subjects.VERSION,
            version=mesh.__version__,
            models=offer.cards(),
            slots=info.slots,
            running=self._desk.running(),
            speed=round(self._desk.speed(), 1),
            draining=self._leaving,
            started=self._started,
            host=socket.gethostname(),
            pid=os.getpid(),
            hardware=info.hardware,
            state=offer.state,
            target=offer.target,
            trouble=offer.trouble,
            changes=offer.changes,
            memory=resident(),
            lanes=True,
            machine=self._gauges.machine,
            load=self._gauges.load,
        )


async def _closed(loader: Loader) -> bool:
    """Close the engine; whether it has ended. One that hangs in a step never does."""
    try:
        async with asyncio.timeout(CLOSING):
            await loader.close()
    except (TimeoutError, EngineBroken):
        return False
    return True
