"""`GET /v1/health` and `GET /workers`: how the parts of the mesh are."""

import asyncio
from typing import Literal

from litestar import Response, get
from msgspec import Struct

from mesh.bus.connection import BusError
from mesh.gateway.body import as_json
from mesh.gateway.errors import AnyRequest
from mesh.gateway.services import Services, Wired
from mesh.protocol import subjects
from mesh.protocol.chats import GetHealth
from mesh.protocol.worker_info import WorkerInfo

Part = Literal["ok", "unavailable"]


class Health(Struct):
    """Each part of the mesh by name; workers: how many are present."""

    status: Literal["ok", "degraded", "unavailable"]
    broker: Part
    store: Part
    workers: int


class WorkerRead(Struct):
    """A worker as it says of itself; models: the names it serves, speed: tokens per second over
    the last seconds, all requests together; started: Unix seconds."""

    name: str
    models: list[str]
    slots: int
    running: int
    speed: float
    draining: bool
    started: float
    version: str
    hardware: str


class Workers(Struct):
    workers: list[WorkerRead]


@get("/v1/health", reply=Health, public=True)
async def health(services: Wired) -> Response[bytes]:
    """200 while prompts can be answered: with a broker and a worker; 503 otherwise."""
    broker, store = await asyncio.gather(_broker(services), _store(services))
    present = len(services.fleet.workers)
    serving = broker == "ok" and present > 0
    whole: Literal["ok", "degraded"] = "ok" if store == "ok" else "degraded"
    report = Health(whole if serving else "unavailable", broker, store, present)
    return as_json(report, 200 if serving else 503)


@get("/workers")
async def workers(request: AnyRequest, services: Wired) -> Workers:
    """The workers present, by name."""
    services.doorman.signed_in(request)
    present = sorted(services.fleet.workers.values(), key=lambda worker: worker.name)
    return Workers([worker_read(worker) for worker in present])


def worker_read(info: WorkerInfo) -> WorkerRead:
    """A worker as routes show it."""
    return WorkerRead(
        name=info.name,
        models=[card.name for card in info.models],
        slots=info.slots,
        running=info.running,
        speed=info.speed,
        draining=info.draining,
        started=info.started,
        version=info.version,
        hardware=info.hardware,
    )


async def _broker(services: Services) -> Part:
    try:
        await services.js.stream_info(subjects.RUN_STREAM)
    except BusError:
        return "unavailable"
    return "ok"


async def _store(services: Services) -> Part:
    try:
        await services.bus.request(subjects.store("get_health"), GetHealth(), timeout=1.0)
    except BusError:
        return "unavailable"
    return "ok"
