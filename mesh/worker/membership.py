"""A worker as a member of the mesh: a gateway lets it in, and it tells the log of its start and its
end, and every list of workers what it is now."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import mesh
from mesh.bus.appender import Fenced, append_event, new_uid
from mesh.bus.clock import Clock
from mesh.bus.connection import Bus, BusError, NoResponders, Silence
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import withdraw
from mesh.protocol import subjects
from mesh.protocol.codec import decode_hello_reply
from mesh.protocol.errors import MeshError
from mesh.protocol.events import WorkerStarted, WorkerStopped
from mesh.protocol.questions import Hello, Refused, Welcome
from mesh.protocol.subjects import Writer
from mesh.protocol.worker_info import WorkerInfo
from mesh.worker.loader import Loader

log = logging.getLogger(__name__)


class Membership:
    """Of one worker process. clock: learns the time with each welcome; info: what the worker is
    now; on_welcome: hears what a gateway says to it that lets it in."""

    def __init__(
        self,
        bus: Bus,
        js: JetStream,
        writer: Writer,
        clock: Clock,
        loader: Loader,
        info: Callable[[], WorkerInfo],
        on_welcome: Callable[[Welcome], None],
    ) -> None:
        self._bus = bus
        self._js = js
        self._writer = writer
        self._clock = clock
        self._loader = loader
        self._info = info
        self._on_welcome = on_welcome
        self._told = 0

    # --- to gateways ------------------------------------------------------------------------------

    async def join(self, stop: asyncio.Event | None = None) -> bool:
        """Ask a gateway to be let in with the loader's model; wait for one. False if stopped;
        raises MeshError."""
        stop = stop or asyncio.Event()
        waiting = False
        while not (stop.is_set() or self._bus.closed.is_set()):
            try:
                await self._clock.learn(self._let_in)
                return True
            except BusError:
                if not waiting:
                    log.info("No gateway answers yet; waiting for one")
                waiting = True
            await asyncio.sleep(0.2)
        return False

    async def _let_in(self) -> float:
        """Be let in with the loader's model; the time, as the gateway has it."""
        welcome = await self._hello(self._loader.info.model)
        self._on_welcome(welcome)
        return welcome.now

    async def time(self) -> float:
        """The time, as a gateway has it. Raises BusError, MeshError."""
        return (await self._hello()).now

    async def _hello(self, *models: str) -> Welcome:
        """Say hello to a gateway, with the models to serve. Raises BusError, MeshError."""
        hello = Hello(protocol=subjects.VERSION, version=mesh.__version__, models=models)
        try:
            answer = await self._bus.request(subjects.hello(self._bus.user), hello)
        except (Silence, NoResponders):  # maybe there are gateways, and not behind this node
            self._bus.seclusion.unanswered()
            raise
        reply = decode_hello_reply(answer.data)
        if isinstance(reply, Refused):
            raise MeshError(reply.code, reply.detail)
        return reply

    # --- to everybody -----------------------------------------------------------------------------

    async def tell_presence(self) -> None:
        """Tell every list of workers at once what has changed."""
        with suppress(BusError):
            await self._bus.publish(subjects.presence(self._bus.user), self._info())

    async def tell_start(self) -> None:
        """Tell the log that this process serves."""
        event = WorkerStarted(uid=new_uid(), info=self._info())
        try:
            self._told = await self._tell(event, 0)
        except Fenced as fenced:  # an earlier try had landed
            self._told = fenced.found or 0

    async def tell_stop(self, reason: str) -> None:
        """Say goodbye in the log and to every list of workers. Raises BusError."""
        await withdraw(self._bus, self._bus.user)
        event = WorkerStopped(
            uid=new_uid(), name=self._writer.user, inc=self._writer.inc, reason=reason
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
