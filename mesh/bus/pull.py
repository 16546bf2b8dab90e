"""The pull loop: takes prompts from a model's lanes in turn, as slots are free. Claims nothing.

Written on the broker's own pull protocol (ADR-13 of the NATS architecture) with idle heartbeats,
because nats-py's `fetch` does not notice that its pull was lost in a broker's restart.
"""

import asyncio
import logging
from collections.abc import Callable

import msgspec
from msgspec import Struct
from nats.aio.msg import Msg

from mesh.bus import lanes
from mesh.bus.connection import Bus, Disconnected, status
from mesh.bus.lanes import EXPIRES, Is, Lane, Lanes
from mesh.bus.talk import Talk
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.request import Prompt

log = logging.getLogger(__name__)

TICK = 0.1
"""Seconds between two looks at whether the pulls are alive."""

NO_LANE = "-"
"""What the address of a pull has in the place of a lane, on the line of those in none."""

PART = 8
"""In a lane where nobody waits a pull waits for one prompt, or for so many in a part of the slots
that are free."""


class _Next(Struct, omit_defaults=True):
    """What is asked of a lane's consumer. no_wait: say at once if there is nothing."""

    batch: int
    expires: int = 0
    idle_heartbeat: int = 0
    no_wait: bool = False


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

    `take` is called for each; it must not block. Lanes in which somebody may wait are looked into
    in turn, one after the other. In all others a pull waits, also while no slot is free: it brings
    the first who comes, who then is more than was asked for and goes back, and so it tells that
    somebody waits there. `wake()` after a slot became free. A prompt that cannot be read is put to
    `spoilt` with its ack address.
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
        self._wake = asyncio.Event()
        self._inbox = f"{bus.inbox}.p.{subjects.consumer(model)}"
        self._lanes = Lanes()
        self._talk = Talk(bus, model, self._lanes.taken)
        bus.on_doubt(self._lost)

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Pull until cancelled. What was pulled and not taken yet is redelivered by the broker."""
        await self._talk.start()
        subscription = await self._bus.listen(f"{self._inbox}.*.*", self._receive)
        try:
            while True:
                self._wake.clear()
                await self._talk.tell()
                await self._pull()
                try:
                    async with asyncio.timeout(TICK):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            self._lanes.lost()
            if not self._bus.client.is_closed:
                await subscription.unsubscribe()
            await self._talk.close()

    async def _pull(self) -> None:
        """Send the pulls that are due."""
        if self._lanes.check():
            self._bus.seclusion.unanswered()
        free = self._free()
        for lane in list(self._lanes.to_watch()):
            body = _Next(max(1, free // PART), int(EXPIRES * 1e9), int(lanes.HEARTBEAT * 1e9))
            await self._ask(lane, Is.WATCHED, body)
        due = self._lanes.to_ask(free) if free > 0 else None
        if due is not None:
            await self._ask(due[0], Is.ASKED, _Next(due[1], no_wait=True))

    async def _ask(self, lane: Lane, state: Is, body: _Next) -> None:
        consumer = subjects.consumer(self._model, lane.name)
        verb = f"$JS.API.CONSUMER.MSG.NEXT.{subjects.REQ_STREAM}.{consumer}"
        self._lanes.pulled(lane, state, body.batch)
        try:
            reply = f"{self._inbox}.{lane.name or NO_LANE}.{lane.pull}"
            await self._bus.send(verb, msgspec.json.encode(body), reply)
        except Disconnected:
            self._lanes.lost()

    def _lost(self) -> None:
        self._lanes.lost()
        self._wake.set()

    def _receive(self, msg: Msg) -> None:
        """Take a prompt, or the broker's word on a pull."""
        if status(msg):
            self._heed(status(msg))
            lane, pull = msg.subject.split(".")[-2:]
            self._lanes.told("" if lane == NO_LANE else lane, int(pull), status(msg))
        else:
            # It bears the queue's subject and does not say which pull it answers; seldom it is one
            # that was given up for lost: then there are more than were asked for.
            self._hand_over(msg)
        self._wake.set()

    def _heed(self, word: str) -> None:
        """Whether a lane's leader was heard: an idle worker asks for nothing else."""
        if word in (lanes.ALIVE, lanes.NOTHING_THERE, lanes.EXPIRED):
            self._bus.seclusion.answered()
        elif word == lanes.NOBODY:
            self._bus.seclusion.unanswered()

    def _hand_over(self, msg: Msg) -> None:
        # $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>
        consumer, *numbers = msg.reply.split(".")[-6:]
        deliveries, seq, _, _, pending = map(int, numbers)
        free, weight = self._free(), 1.0
        try:
            prompt = decode(msg.data, Prompt)
            weight = prompt.request.weight
            self._take(Item(prompt, msg.reply, seq, deliveries))
        except msgspec.DecodeError as error:
            self._spoilt(msg.reply, str(error))
        lane = consumer.partition("+")[2]
        self._lanes.came(lane, pending, weight, free)
        if free > 0:
            self._talk.took(lane, weight)


async def ack(bus: Bus, ack_reply: str) -> None:
    """Acknowledge an item and wait until the broker has it. Raises BusError."""
    await bus.request(ack_reply, b"+ACK")


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
