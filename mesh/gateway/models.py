"""Which models there are, and whether somebody serves them now.

A model is known from its first worker's hello on: its consumer stays at the broker, and so does
its name, while workers come and go.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from mesh.bus.api import NO_STREAM, ApiError
from mesh.bus.connection import BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import Fleet
from mesh.bus.topology import declare_model
from mesh.protocol import subjects
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.questions import Hello, HelloReply, Refused, Welcome
from mesh.protocol.worker_info import ModelCard, WorkerInfo

log = logging.getLogger(__name__)

RETRY = 0.5
"""Seconds between two tries to declare a model's lanes."""


class Models:
    """The models of the mesh as one gateway knows them. ack_wait and worker_wait in seconds.

    Nobody knows when a worker will come. `worker_wait` is how long one may be away, by whoever runs
    this mesh; who was refused after that long is told to come back after as long again.
    """

    def __init__(
        self,
        js: JetStream,
        fleet: Fleet,
        default: str,
        ack_wait: float,
        worker_wait: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._js = js
        self._fleet = fleet
        self._default = default
        self._ack_wait = ack_wait
        self._worker_wait = worker_wait
        self._clock = clock
        self._known: set[str] = set()
        self._declared: set[str] = set()
        self._came = asyncio.Condition()

    async def start(self) -> None:
        """Learn the models that were ever announced. Raises BusError."""
        try:
            names = await self._js.consumer_names(subjects.REQ_STREAM)
        except ApiError as error:
            if error.code != NO_STREAM:
                raise
            names = []
        self._known |= {subjects.model_of(name) for name in names}

    async def welcome(self, worker: str, hello: Hello) -> HelloReply:
        """Let a worker in: its models become known, and their queues exist."""
        if hello.protocol != subjects.VERSION:
            detail = (
                f"The worker {worker} speaks protocol {hello.protocol} (mesh {hello.version}), "
                f"this mesh speaks protocol {subjects.VERSION}: upgrade the older of the two."
            )
            return Refused(code=ErrorCode.PROTOCOL_VERSION, detail=detail)
        await self._declare(set(hello.models))
        return Welcome(ack_wait=self._ack_wait, now=self._clock())

    async def noticed(self, worker: WorkerInfo) -> None:
        """A worker came: wake those who wait for its models.

        Who let it in may be of a version that knows of no lanes: then they are declared here, as
        soon as the broker can. What is put into a lane before waits in it.
        """
        models = {card.name for card in worker.models}
        self._known |= models
        async with self._came:
            self._came.notify_all()
        while models - self._declared:
            try:
                await self._declare(models - self._declared)
            except BusError as error:
                log.debug("Declaring the lanes of %s: %s", ", ".join(sorted(models)), error)
                await asyncio.sleep(RETRY)

    async def _declare(self, models: set[str]) -> None:
        for model in models:
            await declare_model(self._js, model, self._ack_wait)
            self._declared.add(model)
            self._known.add(model)

    def cards(self) -> dict[str, ModelCard | None]:
        """Every known model by name, with its card while somebody serves it."""
        cards: dict[str, ModelCard | None] = dict.fromkeys(sorted(self._known))
        for worker in self._fleet.workers.values():
            cards |= {card.name: card for card in worker.models}
        return cards

    def workers(self, model: str) -> list[WorkerInfo]:
        """The workers that serve a model and take new requests."""
        return [
            worker
            for worker in self._fleet.answering()
            if not worker.draining and any(card.name == model for card in worker.models)
        ]

    async def choose(self, asked: str | None) -> str:
        """The model to use for a request that asked for one, or for none.

        Waits a while for a worker of a known model. Raises MeshError: model_not_found, no_worker.
        """
        name = asked or self._default or self._first()
        if name not in self._known:
            raise MeshError(
                ErrorCode.MODEL_NOT_FOUND,
                f"There is no model {name!r}; GET /v1/models lists the ones there are.",
                param="model",
            )
        await self._wait_for_worker(name)
        return name

    def _first(self) -> str:
        """The model of the worker who has been here longest: a newcomer changes nothing."""
        workers = sorted(self._fleet.workers.values(), key=lambda worker: worker.started)
        candidates = [card.name for worker in workers for card in worker.models]
        candidates += sorted(self._known)
        if not candidates:
            raise MeshError(
                ErrorCode.NO_WORKER,
                "No worker has joined this mesh yet; start one with `mesh worker`.",
                retry_after=self._worker_wait,
            )
        return candidates[0]

    async def _wait_for_worker(self, name: str) -> None:
        if self.workers(name):
            return
        try:
            async with asyncio.timeout(self._worker_wait), self._came:
                await self._came.wait_for(lambda: bool(self.workers(name)))
        except TimeoutError:
            raise MeshError(
                ErrorCode.NO_WORKER,
                f"No worker serves {name!r} at the moment; start one with `mesh worker`, or try "
                "again later.",
                retry_after=self._worker_wait,
            ) from None

    async def refresh(self) -> None:
        """Learn now and then what other gateways let in, until cancelled."""
        while True:
            await asyncio.sleep(5.0)
            try:
                await self.start()
            except BusError as error:
                log.debug("Listing the models: %s", error)
