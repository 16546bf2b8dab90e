"""Tells a worker process to leave, and finds out whether it has."""

import asyncio

from mesh.bus.asking import AGAIN, BROKERS_WORD, RETURNING, lives
from mesh.bus.connection import Bus, BusError, NoResponders, Silence
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import present
from mesh.protocol import subjects
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.questions import Drain
from mesh.protocol.subjects import Writer


async def tell_to_leave(bus: Bus, writer: Writer, grace: float) -> None:
    """Have a worker told to leave; who has just lost its connection has time to come back.

    grace: seconds in which it may finish its answers. Raises MeshError (no_worker) where nobody
    listens; Disconnected.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + RETURNING
    while True:
        try:
            await bus.ask(subjects.orders(writer), Drain(grace=grace), BROKERS_WORD)
            return
        except Silence:
            return  # it stands still, and obeys when it goes on; older workers never say anything
        except NoResponders:
            if clock() > until:
                raise MeshError(
                    ErrorCode.NO_WORKER,
                    f"{writer.user} was not told to leave: it is gone, or its connection to the "
                    "broker is broken. See whether it runs, and ask again.",
                ) from None
        await asyncio.sleep(AGAIN)


async def has_left(js: JetStream, writer: Writer) -> bool:
    """Whether a worker process is gone: nobody listens, and nothing says that it is only away.

    Without a broker that cannot be known, and is no.
    """
    if not js.bus.connected or await lives(js.bus, writer):
        return False
    try:
        return all(worker.inc != writer.inc for worker in await present(js))
    except BusError:
        return False
