"""What `mesh up` waits for: a broker that lets us in, a gateway that answers, workers present; and
before it stops, answers that come to their end.

Each wait goes on for ever; whoever waits gives up when the process behind it does, or in time.
"""

import asyncio
import http.client
from collections.abc import Callable
from contextlib import suppress

import msgspec
from msgspec import Struct

from mesh.bus.connection import Bus, BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import present
from mesh.cli import broker
from mesh.cli.enrol import Credential
from mesh.cli.fleet import models_queues, workers_present
from mesh.protocol.worker_info import WorkerInfo

PAUSE = 0.05
"""Seconds between two looks."""


class _Health(Struct):
    """Of the gateway's health report, what has to be well before workers matter."""

    broker: str
    store: str


async def broker_listens(url: str, operator: Credential, ca: str = "") -> None:
    """Wait for a broker that knows this user. ca: the certificate to trust it by, if any."""
    host, port = broker.address(url)
    while not await asyncio.to_thread(broker.accepts, host, port, operator, ca=ca):
        await asyncio.sleep(PAUSE)


async def gateway_answers(url: str) -> None:
    """Wait for a gateway that answers over HTTP and has broker and store behind it."""
    while not await asyncio.to_thread(_is_well, url.removeprefix("http://")):
        await asyncio.sleep(PAUSE)


async def workers_started(
    url: str, operator: Credential, pids: Callable[[], set[int]], ca: str = ""
) -> list[WorkerInfo]:
    """Wait for the workers that run as these processes; returns all that are there."""
    bus = await Bus.connect([url], *operator, name="mesh up", ca=ca)
    try:
        while True:
            with suppress(BusError):
                found = await present(JetStream(bus))
                if pids() <= {worker.pid for worker in found}:
                    return found
            await asyncio.sleep(PAUSE)
    finally:
        await bus.close()


async def nobody_answers(
    url: str, operator: Credential, waiting: Callable[[], None], ca: str = ""
) -> None:
    """Wait until no worker that is there has an answer under way. Raises BusError.

    waiting: called once, if there is something to wait for.
    """
    bus = await Bus.connect([url], *operator, name="mesh up", ca=ca)
    try:
        js, told = JetStream(bus), False
        while workers := await workers_present(js):
            if not any(queue.in_work for queue in await models_queues(js, workers)):
                return
            if not told:
                waiting()
            told = True
            await asyncio.sleep(0.2)
    finally:
        await bus.close()


def _is_well(gateway: str) -> bool:
    connection = http.client.HTTPConnection(gateway, timeout=2)
    try:
        connection.request("GET", "/v1/health")
        body = connection.getresponse().read()
        return msgspec.json.decode(body, type=_Health) == _Health("ok", "ok")
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return False
    finally:
        connection.close()
