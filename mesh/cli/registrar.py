"""Enrols workers for gateways, which ask over the broker: `mesh up` keeps the broker's folder.

Does what `mesh join` does for a person at the terminal.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from mesh.bus.connection import Bus
from mesh.bus.trust import written_out
from mesh.cli import broker
from mesh.cli.enrol import BrokerFolder, Credential
from mesh.cli.names import name_held
from mesh.protocol import subjects
from mesh.protocol.codec import decode_enrolment
from mesh.protocol.enrolment import (
    Enrol,
    Enrolled,
    EnrolledWorkers,
    EnrolmentReply,
    Expel,
    Expelled,
    ListEnrolled,
)
from mesh.protocol.errors import ErrorCode, MeshError

NAME = "mesh up"

QUEUE = "registrars"
"""Of several that keep one folder, one answers."""

MOMENT = 0.1
"""Seconds for an answer to reach the broker."""

BUSY = "The broker is reading its users just now; try again in a moment."


class Registrar:
    """Answers for one broker's folder. servers: where that broker listens.

    Everything is answered at once, and a change comes into force after that: when the broker reads
    its users again, it forgets who may answer whom, and an answer given then would be lost.
    """

    def __init__(self, bus: Bus, folder: BrokerFolder, servers: list[str]) -> None:
        self._bus = bus
        self._folder = folder
        self._servers = servers
        self._turn = asyncio.Lock()
        self._coming: asyncio.Future[None] | None = None

    async def serve(self) -> None:
        """Answer from now on, until the connection is closed."""
        await self._bus.serve(subjects.ENROL, self._answer, QUEUE)

    async def _answer(self, subject: str, data: bytes) -> EnrolmentReply:
        match decode_enrolment(data):
            case ListEnrolled():
                return self._enrolled()
            case Enrol(name=name):
                async with self._turn:
                    self._check_settled()
                    made = await asyncio.to_thread(self._enrol, name)
                    credential = Credential(name, made.password)
                    self._begin(partial(broker.bring_in, self._folder, self._servers, credential))
                    return made
            case Expel(name=name):
                async with self._turn:
                    self._check_settled()
                    await asyncio.to_thread(self._expel, name)
                    self._begin(partial(broker.expel, self._folder))
                    return Expelled()

    def _check_settled(self) -> None:
        """Raise MeshError (conflict) while a change is not in force yet."""
        if not self._settled():
            raise MeshError(ErrorCode.CONFLICT, BUSY, retry_after=1.0)

    def _settled(self) -> bool:
        """Whether all changes are in force. Raises MeshError if the broker did not take one."""
        coming = self._coming
        if coming is None or not coming.done():
            return coming is None
        self._coming = None
        coming.result()
        return True

    def _begin(self, work: Callable[[], object]) -> None:
        """Bring a change into force, a moment from now: its answer has to be on its way first."""

        async def later() -> None:
            await asyncio.sleep(MOMENT)
            await asyncio.to_thread(work)
            await asyncio.sleep(broker.RELOADING)

        self._coming = asyncio.ensure_future(later())

    def _enrolled(self) -> EnrolledWorkers:
        secrets = self._folder.secrets()
        names = sorted(secrets.workers.keys() - secrets.tools.keys())
        elsewhere = [name for name in names if name in secrets.elsewhere]
        return EnrolledWorkers(
            names=tuple(names), elsewhere=tuple(elsewhere), settled=self._settled()
        )

    def _enrol(self, name: str) -> Enrolled:
        """Raises MeshError: bad_request for what is no name, conflict for one that is in use."""
        with name_held(self._folder, name):
            credential = self._folder.enrol(name, elsewhere=True)
        certificate = self._folder.tls.certificate.read_text() if self._folder.ca else ""
        trusted = written_out(certificate) if certificate else ""
        return Enrolled(name=name, password=credential.password, certificate=trusted)

    def _expel(self, name: str) -> None:
        """Raises MeshError (not_found)."""
        secrets = self._folder.secrets()
        if name not in secrets.workers or name in secrets.tools:
            raise MeshError(ErrorCode.NOT_FOUND, f"No worker named {name!r} is enrolled.")
        self._folder.remove(name)


class Saying(logging.Handler):
    """Warnings of our own connection, among the lines of those whom `mesh up` has started."""

    def __init__(self, say: Callable[[str, str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(NAME, record.getMessage())


async def register(folder: BrokerFolder, server: str, say: Callable[[str, str], None]) -> None:
    """Answer gateways until cancelled. Raises MeshError where the broker refuses us."""
    saying = Saying(say)
    logging.getLogger("mesh").addHandler(saying)
    try:
        bus = await Bus.connect([server], *folder.credential("operator"), name=NAME, ca=folder.ca)
        try:
            await Registrar(bus, folder, [server]).serve()
            await bus.closed.wait()
        finally:
            await bus.close()
    finally:
        logging.getLogger("mesh").removeHandler(saying)
