"""Hears from the broker whose connection has ended. Core messages: one may be lost, unnoticed."""

import logging
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct
from nats.aio.msg import Msg

from mesh.bus.asking import NEVER
from mesh.bus.connection import Bus
from mesh.protocol import subjects
from mesh.protocol.events import Claim, RunEvent
from mesh.protocol.subjects import RunSubject, Writer

log = logging.getLogger(__name__)

REMEMBERED = 1000
"""Who have parted last, and are known to have."""


class _Client(Struct):
    user: str = ""
    name: str = ""


class _Parting(Struct):
    """The part that we read of `io.nats.server.advisory.v1.client_disconnect`."""

    client: _Client
    reason: str = ""


class Partings:
    """Calls `on_parting` with each writer whose connection ended, and again when a claim of such a
    one comes later than that; it must not block.

    A process names its connection after itself, `<user>.<inc>`, and the broker vouches for the
    user only: a name that begins with another's is no writer's.
    """

    def __init__(self) -> None:
        self._heard: dict[Writer, float] = {}
        self.on_parting: Callable[[Writer], None] = lambda writer: None

    async def start(self, bus: Bus) -> None:
        """Listen for them. Raises BusError."""
        await bus.listen(subjects.PARTINGS, self._hear)

    def heard(self, writer: Writer) -> float:
        """When a writer was last heard to part, by `time.monotonic`; -inf: never, or forgotten."""
        return self._heard.get(writer, NEVER)

    def hear(self, where: RunSubject, event: RunEvent) -> None:
        """An event of the log: a claim may reach us after the word of its writer's death."""
        if isinstance(event, Claim) and where.writer in self._heard:
            self.on_parting(where.writer)

    def forget(self, writer: Writer, heard: float) -> None:
        """It is back, and had lost its connection only; unless it was heard to part again since."""
        if self._heard.get(writer) == heard:
            del self._heard[writer]

    def _hear(self, msg: Msg) -> None:
        try:
            client = msgspec.json.decode(msg.data, type=_Parting).client
        except msgspec.DecodeError as error:
            log.warning("The broker's word on a parting cannot be read: %s", error)
            return
        writer = Writer.named(client.name)
        if writer.inc and writer.user == client.user:
            self._heard.pop(writer, None)
            self._heard[writer] = time.monotonic()
            if len(self._heard) > REMEMBERED:
                del self._heard[next(iter(self._heard))]
            self.on_parting(writer)
