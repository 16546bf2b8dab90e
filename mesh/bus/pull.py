"""The pull loop: takes prompts from a model's queue as slots are free. Knows nothing of claims.

Written on the broker's own pull protocol (ADR-13 of the NATS architecture) with idle heartbeats,
because nats-py's `fetch` does not notice that its pull was lost in a broker's restart.
"""

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct
from nats.aio.msg import Msg

from mesh.bus.connection import Bus, Disconnected, status
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.messages import Prompt

log = logging.getLogger(__name__)

HEARTBEAT = 0.5
"""Seconds between the broker's signs of life on a waiting pull."""

EXPIRES = 30.0
"""Seconds that one pull waits at the broker."""

TICK = 0.25
"""Seconds between two looks at whether the pull is alive."""


class _Next(Struct):
    batch: int
    expires: int
    idle_heartbeat: int


class Item(Struct, frozen=True):
    """A prompt in hand. Ack it only after its terminal event stands in the log.

    seq: its sequence in the queue; deliveries: how often it was handed out, this time included.
    """

    prompt: Prompt
    ack_reply: str
    seq: int
    deliveries: int


class Puller:
    """Keeps as many prompts of one model coming as `free()` says there are slots.

    `take` is called for each, in the broker's order; it must not block. Now and then there are
    more than were asked for: a pull that was given up for lost may still be alive at the broker.
    `wake()` after a slot became free. A prompt that cannot be read is put to `spoilt` with its ack
    address.
    """

    def __init__(
        self,
        bus: Bus,
        model: str,
        free: Callable[[], int],
        take: Callable[[Item], None],
        spoilt: Callable[[str, str], None],
    ) -> None:
        self._bus = bus
        self._model = model
        self._free = free
        self._take = take
        self._spoilt = spoilt
        self._asked = 0
        self._heard = 0.0
        self._wake = asyncio.Event()
        self._pull = 0
        self._inbox = f"{bus.inbox}.p.{subjects.consumer(model)}"
        bus.on_doubt(self._lost)

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Pull until cancelled. What was pulled and not taken yet is redelivered by the broker."""
        subscription = await self._bus.listen(f"{self._inbox}.*", self._receive)
        try:
            while True:
                if self._asked and time.monotonic() - self._heard > 3 * HEARTBEAT:
                    self._lost()
                if not self._asked and self._free() > 0:
                    await self._ask(self._free())
                try:
                    async with asyncio.timeout(TICK):
                        await self._wake.wait()
                except TimeoutError:
                    continue
                self._wake.clear()
        finally:
            if not self._bus.client.is_closed:
                await subscription.unsubscribe()

    async def _ask(self, batch: int) -> None:
        body = _Next(batch, int(EXPIRES * 1e9), int(HEARTBEAT * 1e9))
        verb = f"$JS.API.CONSUMER.MSG.NEXT.{subjects.REQ_STREAM}.{subjects.consumer(self._model)}"
        self._pull += 1
        try:
            await self._bus.send(verb, msgspec.json.encode(body), f"{self._inbox}.{self._pull}")
        except Disconnected:
            return
        self._asked, self._heard = batch, time.monotonic()

    def _lost(self) -> None:
        self._asked = 0
        self._wake.set()

    def _receive(self, msg: Msg) -> None:
        """Take a prompt, or the broker's word on a pull."""
        if not status(msg):
            # It bears the queue's subject and does not say which pull it answers; the latest, or,
            # seldom, one that was given up: then we ask again too early, and give back what is
            # too much.
            self._hand_over(msg)
            self._asked = max(0, self._asked - 1)
        elif msg.subject.rpartition(".")[2] != str(self._pull):
            return  # of a pull that was given up
        elif status(msg) != "100":
            self._asked = 0  # it has ended: expired, no such consumer (yet), broker going away
        self._heard = time.monotonic()
        if not self._asked:
            self._wake.set()

    def _hand_over(self, msg: Msg) -> None:
        # $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>
        deliveries, seq = (int(part) for part in msg.reply.split(".")[-5:-3])
        try:
            prompt = decode(msg.data, Prompt)
        except msgspec.DecodeError as error:
            self._spoilt(msg.reply, str(error))
            return
        self._take(Item(prompt, msg.reply, seq, deliveries))


async def ack(bus: Bus, ack_reply: str, timeout: float = 2.0) -> None:
    """Acknowledge an item and wait until the broker has it. Raises BusError."""
    await bus.request(ack_reply, b"+ACK", timeout)


async def in_progress(bus: Bus, ack_reply: str) -> None:
    """Tell the broker that the item is being worked on; raises Disconnected."""
    await bus.publish(ack_reply, b"+WPI")


async def nak(bus: Bus, ack_reply: str, delay: float = 0.0) -> None:
    """Hand an item back, to be delivered again after `delay` seconds; raises Disconnected."""
    body = msgspec.json.encode({"delay": int(delay * 1e9)}) if delay else b""
    await bus.publish(ack_reply, b"-NAK " + body if body else b"-NAK")


async def term(bus: Bus, ack_reply: str) -> None:
    """Never deliver the item again; raises Disconnected."""
    await bus.publish(ack_reply, b"+TERM")
