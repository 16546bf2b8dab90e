"""Workers' access to the mesh, for admins: who may join, letting one in, taking that away.

A worker's key is its password at the broker. Whoever keeps the broker's folder makes it (`mesh up`
does); the gateway only asks.
"""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Annotated, TypeVar

from litestar import Response, delete, get, put
from litestar.params import FromPath
from msgspec import DecodeError, Meta, Struct

from mesh.bus.connection import NoResponders, Silence
from mesh.gateway.body import read_body
from mesh.gateway.errors import AnyRequest
from mesh.gateway.services import Services, Wired
from mesh.gateway.sessions import NOT_KEPT
from mesh.protocol import subjects
from mesh.protocol.codec import decode_enrolment_reply
from mesh.protocol.enrolment import (
    Enrol,
    Enrolled,
    EnrolledWorkers,
    Enrolment,
    EnrolmentReply,
    Expel,
    Expelled,
    ListEnrolled,
)
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.questions import Refused

log = logging.getLogger(__name__)

R = TypeVar("R", bound=EnrolmentReply)

PATIENCE = 10.0
"""Seconds that the broker may take to let a new user in."""

LEARNING = 0.4
"""Seconds that it usually takes."""

NOBODY = (
    "Nobody who keeps the broker's users answers: `mesh up` does. Where the broker was started in "
    "another way, use `mesh join` on its machine."
)


class NewWorker(Struct, forbid_unknown_fields=True):
    """What `PUT /admin/workers` takes. trusted: changes nothing, for all that are let in are; there
    are clients that always say false."""

    name: Annotated[str, Meta(max_length=40)]
    trusted: bool | None = None


class EnrolledRead(Struct, frozen=True, kw_only=True):
    """A worker that may join; its name is its id. api_key: its password at the broker, told once,
    when it is made; nats_ca: what to set MESH_NATS_CA to, "" where the broker speaks no TLS.

    trusted: always, for no worker's answers are compared with another's. elsewhere: it was made
    for another machine; present: it is here now.
    """

    id: str
    name: str
    api_key: str | None
    nats_ca: str | None
    trusted: bool
    elsewhere: bool
    present: bool


@put("/admin/workers", body=NewWorker)
async def enrol_worker(request: AnyRequest, services: Wired) -> Response[EnrolledRead]:
    """Let a worker join, from any machine; one that may already gets another key.

    For admins, in person.
    """
    admin = services.doorman.in_person(request)
    body = await read_body(request, NewWorker)
    made = await _ask(services, Enrol(name=body.name), Enrolled)
    await _settled(services)
    log.info("%s enrolled the worker %s", admin.name, made.name)
    shown = _read(services, made.name, True, made.password, made.certificate)
    return Response(shown, headers=NOT_KEPT)


@get("/admin/workers")
async def enrolled_workers(request: AnyRequest, services: Wired) -> list[EnrolledRead]:
    """Every worker that may join, without its key. For admins."""
    services.doorman.signed_in(request)
    found = await _ask(services, ListEnrolled(), EnrolledWorkers)
    return [_read(services, name, name in found.elsewhere) for name in found.names]


@delete("/admin/workers/{worker_id:str}", status_code=200)
async def expel_worker(request: AnyRequest, services: Wired, worker_id: FromPath[str]) -> None:
    """Take a worker's access away; what it was doing, another goes on with. For admins."""
    admin = services.doorman.signed_in(request)
    await _ask(services, Expel(name=worker_id), Expelled)
    await _settled(services)
    log.info("%s took the access of the worker %s away", admin.name, worker_id)


async def _settled(services: Services) -> None:
    """Wait until the broker knows of the change. While it learns that, answers are lost."""
    await asyncio.sleep(LEARNING)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with suppress(_Silent):
            if (await _ask(services, ListEnrolled(), EnrolledWorkers, 1.0)).settled:
                return
        await asyncio.sleep(0.05)
    raise _Silent(ErrorCode.BROKER_UNAVAILABLE, NOBODY, retry_after=5.0)


class _Silent(MeshError):
    """Nobody has answered."""


async def _ask(
    services: Services, question: Enrolment, kind: type[R], patience: float = PATIENCE
) -> R:
    """The answer of who keeps the broker's users. Raises MeshError: its refusal, or that there is
    nobody."""
    try:
        answer = await services.bus.ask(subjects.ENROL, question, patience)
        reply = decode_enrolment_reply(answer.data)
    except (NoResponders, Silence) as error:
        raise _Silent(ErrorCode.BROKER_UNAVAILABLE, NOBODY, retry_after=5.0) from error
    except DecodeError as error:
        detail = "The answer is none that this gateway knows; upgrade the older of the two."
        raise MeshError(ErrorCode.INTERNAL, detail) from error
    if isinstance(reply, Refused):
        raise MeshError(reply.code, reply.detail, retry_after=reply.retry_after)
    if not isinstance(reply, kind):
        raise MeshError(ErrorCode.INTERNAL, "The question was answered with something else.")
    return reply


def _read(
    services: Services,
    name: str,
    elsewhere: bool,
    key: str | None = None,
    certificate: str | None = None,
) -> EnrolledRead:
    return EnrolledRead(
        id=name,
        name=name,
        api_key=key,
        nats_ca=certificate,
        trusted=True,
        elsewhere=elsewhere,
        present=name in services.fleet.workers,
    )
