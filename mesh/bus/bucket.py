"""A KV bucket as its readers see it: each key's last value, and each change as it is made."""

from collections.abc import Callable

from nats.aio.msg import Msg

from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream


async def entries(js: JetStream, stream: str, subject: str) -> dict[str, bytes]:
    """The last value under each subject; what was taken away is an empty one. Raises BusError."""
    info = await js.stream_info(stream)
    batches = js.read(stream, subject, max(1, info.state.first_seq), info.state.last_seq)
    return {stored.subject: stored.data async for batch in batches for stored in batch}


async def listen(bus: Bus, subject: str, hear: Callable[[str, bytes], None]) -> None:
    """Hand on each change: its subject and the new value. What is missed, `entries` tells."""

    def receive(msg: Msg) -> None:
        hear(msg.subject, msg.data)

    await bus.listen(subject, receive)
