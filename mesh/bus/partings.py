"""Hears from the broker whose connection has ended. Core messages: one may be lost, unnoticed."""

import logging
from collections.abc import Callable

import msgspec
from msgspec import Struct
from nats.aio.msg import Msg

from mesh.bus.connection import Bus
from mesh.protocol import subjects
from mesh.protocol.subjects import Writer

log = logging.getLogger(__name__)


class _Client(Struct):
    user: str = ""
    name: str = ""


class _Parting(Struct):
    """The part that we read of `io.nats.server.advisory.v1.client_disconnect`."""

    client: _Client
    reason: str = ""


async def on_parting(bus: Bus, parted: Callable[[Writer], None]) -> None:
    """Call `parted` with each writer whose connection ended; it must not block.

    A process names its connection after itself, `<user>.<inc>`, and the broker vouches for the
    user only: a name that begins with another's is no writer's.
    """

    def hear(msg: Msg) -> None:
        try:
            client = msgspec.json.decode(msg.data, type=_Parting).client
        except msgspec.DecodeError as error:
            log.warning("The broker's word on a parting cannot be read: %s", error)
            return
        writer = Writer.named(client.name)
        if writer.inc and writer.user == client.user:
            parted(writer)

    await bus.listen(subjects.PARTINGS, hear)
