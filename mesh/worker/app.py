"""Wires one worker process: loads the engine, joins the mesh, pulls, drains, leaves."""

import asyncio
import logging
import os
import socket
import time
from contextlib import suppress

import mesh
from mesh.bus.appender import Fenced, append_event, new_uid
from mesh.bus.connection import Bus, BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import announce, withdraw
from mesh.bus.pull import Puller
from mesh.protocol import subjects
from mesh.protocol.codec import decode, decode_hello_reply, decode_order
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.messages import (
    Alive,
    Ask,
    CancelRun,
    Drain,
    Hello,
    ModelCard,
    Refused,
    Welcome,
    WorkerInfo,
    WorkerStarted,
    WorkerStopped,
)
from mesh.protocol.subjects import Writer
from mesh.settings import WorkerSettings
from mesh.worker.answer import Patience
from mesh.worker.claim import Claims
from mesh.worker.desk import Desk
from mesh.worker.engines.base import Engine
from mesh.worker.engines.choose import load

log = logging.getLogger(__name__)

GOODBYE = 2.0
"""Seconds that leaving may take once all is handed over."""


async def run(settings: WorkerSettings, name: str, password: str, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then drain. Raises MeshError when the worker cannot join."""
    engine = await load(settings)
    try:
        writer = Writer(name, new_uid())
        bus = await Bus.connect(settings.servers, name, password, str(writer))
        try:
            await Worker(bus, engine, writer, settings).serve(stop)
        finally:
            await bus.close()
    except Stuck as stuck:
        log.error("%s", stuck)
        os._exit(1)  # its threads would never end
    finally:
        await engine.close()


class Drained(Exception):
    """The worker left because it was told to: whoever keeps it running should not start it."""


class Stuck(Exception):
    """The engine makes no step any more, and cannot be trusted to close either."""


class Worker:
    """One worker process in the mesh, from its hello to its goodbye.

    writer: this process, as it signs the log; its connection is named so, and the broker tells
    that name when the connection ends.
    """

    def __init__(self, bus: Bus, engine: Engine, writer: Writer, settings: WorkerSettings) -> None:
        self._bus = bus
        self._js = JetStream(bus)
        self._engine = engine
        self._grace = settings.grace
        self._writer = writer
        claims = Claims(bus, self._js, writer, engine.info.fingerprint)
        patience = Patience(settings.first_token_limit, settings.stall_limit, settings.poison_after)
        self._desk = Desk(bus, self._js, claims, engine, patience)
        self._puller = Puller(
            bus, engine.info.model, self._desk.free, self._desk.take, self._desk.spoilt
        )
        self._started = time.time()
        self._ordered = asyncio.Event()
        self._leaving = False
        self._told = 0

    async def serve(self, stop: asyncio.Event) -> None:
        """Join, work until `stop` or an order to drain, then leave.

        Raises MeshError when it may not join, or when the broker has given it up for good;
        Drained after an order; Stuck when the engine is.
        """
        await self._bus.listen(subjects.orders(self._writer), lambda msg: self._obey(msg.data))
        await self._bus.serve(subjects.ask(self._writer), self._answer_ask)
        if not await self._join(stop):
            return self._check_connection()
        log.info("Serving %s as %s", self._engine.info.model, self._bus.user)
        async with asyncio.TaskGroup() as group:
            story = group.create_task(self._tell_start())
            presence = group.create_task(announce(self._bus, self._info))
            renewing = group.create_task(self._desk.keep_alive())
            engine = group.create_task(self._desk.watch_engine())
            pulling = [group.create_task(self._puller.run()), group.create_task(self._wake())]
            await _first(stop, self._ordered, self._desk.stuck, self._bus.closed)
            for task in pulling:
                task.cancel()
            if not self._bus.closed.is_set():
                await self._drain()
            self._desk.close()
            for task in (presence, renewing, engine, story):
                task.cancel()
        self._check_connection()
        with suppress(TimeoutError, BusError):
            async with asyncio.timeout(GOODBYE):
                await self._tell_stop()
        if self._desk.stuck.is_set():
            raise Stuck("The engine has stalled on all it had to do, or is broken; leaving.")
        if self._ordered.is_set():
            raise Drained

    async def _drain(self) -> None:
        self._leaving = True
        with suppress(BusError):  # who waits for a worker should look for another at once
            await self._bus.publish(subjects.presence(self._bus.user), self._info())
        await self._desk.drain(0.0 if self._desk.stuck.is_set() else self._grace)

    def _check_connection(self) -> None:
        if self._bus.closed.is_set():
            raise MeshError(
                ErrorCode.BROKER_UNAVAILABLE,
                "The broker has ended this worker's connection for good: it may have been removed "
                "with `mesh join --remove`; join it again, or start it again.",
            )

    async def _join(self, stop: asyncio.Event) -> bool:
        """Ask a gateway to be let in; wait for one. False if stopped; raises MeshError."""
        models = (self._engine.info.model,)
        hello = Hello(protocol=subjects.VERSION, version=mesh.__version__, models=models)
        waiting = False
        while not (stop.is_set() or self._bus.closed.is_set()):
            try:
                answer = await self._bus.request(subjects.hello(self._bus.user), hello)
                match decode_hello_reply(answer.data):
                    case Welcome(ack_wait=ack_wait):
                        self._desk.ack_wait = ack_wait
                        return True
                    case Refused(code=code, detail=detail):
                        raise MeshError(code, detail)
            except BusError:
                if not waiting:
                    log.info("No gateway answers yet; waiting for one")
                waiting = True
            await asyncio.sleep(0.2)
        return False

    async def _tell_start(self) -> None:
        event = WorkerStarted(uid=new_uid(), info=self._info())
        try:
            self._told = await self._tell(event, 0)
        except Fenced as fenced:  # an earlier try had landed
            self._told = fenced.found or 0

    async def _tell_stop(self) -> None:
        """Say goodbye in the log and to every list of workers."""
        await withdraw(self._bus, self._bus.user)
        why = "drained" if self._ordered.is_set() else "stopped"
        if self._desk.stuck.is_set():
            why = "stuck"
        event = WorkerStopped(
            uid=new_uid(), name=self._writer.user, inc=self._writer.inc, reason=why
        )
        try:
            await self._tell(event, self._told)
        except Fenced as fenced:
            if fenced.found:
                log.info("This worker had been given up for lost already")
            else:  # it has worked for longer than the log keeps its start
                await self._tell(event, 0)

    async def _tell(self, event: WorkerStarted | WorkerStopped, expected: int) -> int:
        story = subjects.process(self._writer)
        return await append_event(self._js, subjects.FLEET, story, self._writer, event, expected)

    async def _wake(self) -> None:
        while True:
            await self._desk.freed.wait()
            self._desk.freed.clear()
            self._puller.wake()

    def _obey(self, data: bytes) -> None:
        match decode_order(data):
            case CancelRun(rid=rid):
                self._desk.cancel(rid)
            case Drain(grace=grace):
                self._grace = grace
                self._ordered.set()

    async def _answer_ask(self, subject: str, data: bytes) -> Alive:
        return Alive(holding=self._desk.holds(decode(data, Ask).rid))

    def _info(self) -> WorkerInfo:
        info = self._engine.info
        card = ModelCard(
            name=info.model,
            fingerprint=info.fingerprint,
            engine=info.engine,
            context_length=info.context_length,
            abilities=tuple(info.abilities),
        )
        return WorkerInfo(
            name=self._writer.user,
            inc=self._writer.inc,
            protocol=subjects.VERSION,
            version=mesh.__version__,
            models=(card,),
            slots=info.slots,
            running=self._desk.running(),
            speed=round(self._desk.speed(), 1),
            draining=self._leaving,
            started=self._started,
            host=socket.gethostname(),
            pid=os.getpid(),
            hardware=info.hardware,
        )


async def _first(*events: asyncio.Event) -> None:
    """Wait for any of the events."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
